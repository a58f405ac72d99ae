/**
 * TODO 1: the part of your driver's client that the store needs. Ask for the least, so that apps can pass any version of it.
 */
export interface Client {
  /**
   * Stands for a command of the driver in src/store.ts. Until nothing there calls it any more, give it to the driver's client too:
   * `Object.assign(client, { todo })`.
   */
  todo(place: string, ...values: unknown[]): Promise<never>
  close(): Promise<void>
}

/**
 * TODO 2: connect, by the driver's own function. Set the driver's timeouts, and listen to the client's `error` event, so that an
 * idle disconnect does not end the process.
 * A backend without a server takes another option than `url`, such as `path`: rename it here and in src/store.ts, in src/options.ts
 * with a check of its own and `storeHints('client', 'path')`, in test/ and in the README.
 */
export async function connect(_url: string): Promise<Client> {
  return {
    todo: async place => {
      throw new Error(`TODO: ${place} of src/store.ts is not written yet`)
    },
    close: async () => {},
  }
}
