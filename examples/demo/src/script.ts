/** Shows how a race goes, without loading the page again. Without it the form does the same. */
export const script = `
const form = document.querySelector('#race')
const outputs = form.parentElement.querySelectorAll('output')

function show({ kind, text, verdict = '', reason = '' }) {
  const output = document.getElementById(kind)
  output.className = verdict
  output.ariaBusy = String(!verdict)
  const [result, why] = output.children
  result.textContent = text
  why.textContent = reason
}

async function run(name) {
  const response = await fetch('/race/live', { method: 'POST', body: new URLSearchParams({ race: name }) })
  if (!response.ok) throw new Error(response.statusText)
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
  let text = ''
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    const lines = (text + value).split('\\n')
    text = lines.pop()
    for (const line of lines) show(JSON.parse(line))
  }
}

form.addEventListener('submit', async event => {
  event.preventDefault()
  // A race that has both verdicts is over, even if its response has not ended.
  if ([...outputs].some(output => output.ariaBusy === 'true')) return
  for (const { id } of outputs) show({ kind: id, text: '…' })
  // On a phone the second one is below the first screen.
  outputs[1].scrollIntoView({ block: 'nearest' })
  try {
    await run(event.submitter.value)
  } catch {
    for (const { id } of outputs) show({ kind: id, text: 'no answer', verdict: 'none', reason: 'Does the server still run?' })
  }
})
`
