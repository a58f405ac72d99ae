import { Html } from './html.js'

export const style = new Html(`
      :root {
        --text: #1c1e21; --page: #fff; --card: #f6f7f9; --line: #7d8590; --soft: #4d5560;
        --good: #17642f; --bad: #a3160c; --note: #e8f0fe; --accent: #1f4fc4; --on-accent: #fff;
      }
      @media (prefers-color-scheme: dark) {
        :root {
          --text: #e9ebee; --page: #14171b; --card: #1d2127; --line: #87909b; --soft: #b6bdc6;
          --good: #7fd79a; --bad: #ff9d94; --note: #1f2d45; --accent: #9dbcff; --on-accent: #10203f;
        }
      }
      * { box-sizing: border-box }
      /* Room for the outline of what the keyboard reaches. */
      html { scroll-padding: 1rem }
      /* Room for the heading and the message above them. */
      #cart button, #user { scroll-margin-top: 10rem }
      body {
        font: 1.0625rem/1.5 system-ui, sans-serif; color: var(--text); background: var(--page);
        max-width: 48rem; margin: 1.5rem auto; padding: 0 1rem;
      }
      h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 0.75rem }
      h2 { font-size: 1.25rem; margin: 0 } h3 { font-size: 1.05rem; margin: 1.5rem 0 0.5rem }
      p { margin: 0.5rem 0 } .soft { color: var(--soft); font-size: 0.9375rem }
      form { margin: 1rem 0; display: flex; flex-wrap: wrap; gap: 0.75rem 1rem; align-items: center }
      button, input:not([type=checkbox]) {
        font: inherit; color: inherit; background: var(--page); min-height: 2.75rem; padding: 0.25rem 1rem;
        border: 1px solid var(--line); border-radius: 0.4rem;
      }
      button { cursor: pointer }
      .first { font-weight: 600; color: var(--on-accent); background: var(--accent); border-color: var(--accent) }
      label { display: inline-flex; align-items: center; gap: 0.6rem; min-height: 2.75rem }
      label input:not([type=checkbox]) { width: 100%; max-width: 14rem; padding: 0.25rem 0.6rem }
      input[type=checkbox] { width: 1.5rem; height: 1.5rem; margin: 0 }
      :focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
      .sides { display: grid; grid-template-columns: repeat(auto-fit, minmax(17rem, 1fr)); gap: 1rem }
      .sides section { background: var(--card); border-radius: 0.5rem; padding: 1rem; display: flex; flex-direction: column }
      output { display: block; margin-top: auto; padding-top: 0.75rem; min-height: 6.25rem }
      output strong { display: block; font-size: 1.6rem; line-height: 1.3 }
      .right strong { color: var(--good) } .wrong strong { color: var(--bad) }
      .site { border-top: 1px solid var(--line); margin-top: 1.5rem; padding-top: 1.5rem }
      ul { padding: 0; list-style: none; margin: 0.5rem 0 }
      #devices li { display: flex; gap: 1rem; align-items: center; justify-content: space-between }
      #devices li { margin: 0.5rem 0 } #devices form { margin: 0; flex: none }
      .flash { padding: 0.5rem 1rem; border-radius: 0.4rem; background: var(--note) }
      .error { border-left: 4px solid var(--bad) }
      a { color: inherit; display: inline-block; padding: 0.6rem 0 }
`)
