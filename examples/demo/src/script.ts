import { early, requests } from './race.js'

/** Sends the requests of a race from the browser and shows what they leave, beside each other. Forms do the same without it. */
export const script = `
const wait = ms => new Promise(resolve => setTimeout(resolve, ms))
const post = path => fetch('/race/' + path, { method: 'POST' })

async function race(kind, name) {
  const output = document.querySelector('#' + kind)
  output.textContent = '…'
  await post(kind + '/sign-in')
  if (name === 'requests') {
    let done = 0
    await Promise.all(Array.from({ length: ${requests} }, async (_, index) => {
      await post(kind + '/request/' + (index + 1))
      output.textContent = ++done + ' answered'
    }))
  } else {
    const slow = post(kind + '/slow')
    output.textContent = 'a slow request is under way'
    await wait(${early})
    await post(kind + '/sign-out')
    output.textContent = 'signed out; the slow request ends …'
    await slow
  }
  const { kept, isSignedIn } = await (await fetch('/race/' + kind)).json()
  const isRight = name === 'requests' ? kept === ${requests} : !isSignedIn
  output.textContent = name === 'requests'
    ? 'kept ' + kept + ', lost ' + (${requests} - kept)
    : isSignedIn ? 'signed in again' : 'signed out'
  output.className = isRight ? 'right' : 'wrong'
}

const form = document.querySelector('#race')
form.addEventListener('submit', async event => {
  event.preventDefault()
  const name = event.submitter.value
  const buttons = form.querySelectorAll('button')
  for (const button of buttons) button.disabled = true
  try {
    await Promise.all([race('ordinary', name), race('ours', name)])
  } finally {
    for (const button of buttons) button.disabled = false
    event.submitter.focus()
  }
})
`
