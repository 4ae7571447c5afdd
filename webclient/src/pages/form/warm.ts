/** A connection that has been quiet for longer may be gone: the network's, the phone's or the server's end. */
export const QUIET_MS = 3000;

/**
 * While the code is typed, a connection that stood idle is used once, so that the answer to the code does not wait for
 * a new one (two round trips) or for the phone's radio to wake.
 *
 * @param contact one small request to the same server
 * @param now a clock in ms
 * @returns to be called at every key
 */
export function keptWarm(contact: () => Promise<unknown>, now: () => number): () => void {
  let last = now(); // the form itself has just come over it
  let asking = false;
  const ended = (): void => {
    asking = false;
    last = now();
  };
  return () => {
    if (asking || now() - last < QUIET_MS) return;
    asking = true;
    contact().then(ended, ended);
  };
}
