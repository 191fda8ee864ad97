/** Lets everything that can happen now happen: promises settle, and the batches of this turn are sent. */
export async function turns(count = 5): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}
