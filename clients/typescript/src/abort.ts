/** Reject with the signal's reason when it is aborted, also if the work does not listen. */
export async function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  let abort = () => {};
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(reasonOf(signal));
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort);
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** Run the work with a signal that follows another one, and that is aborted after some milliseconds.
 *
 * `AbortSignal.any` and `AbortSignal.timeout` are missing in React Native and in Safari before 17.4. With `keeps`
 * the signal follows the other one also after the work: it then stops the body that the caller reads. */
export async function within<T>(
  outer: AbortSignal,
  milliseconds: number,
  late: () => Error,
  keeps: boolean,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  if (outer.aborted) throw reasonOf(outer);
  const controller = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  if (Number.isFinite(milliseconds)) timer = setTimeout(() => abortWith(controller, late()), milliseconds);
  const follow = () => abortWith(controller, reasonOf(outer));
  outer.addEventListener("abort", follow);
  try {
    return await unlessAborted(controller.signal, work(controller.signal));
  } finally {
    clearTimeout(timer);
    if (!keeps) outer.removeEventListener("abort", follow);
  }
}

const requests = new WeakMap<ReadableStream, Request[]>();

/** Keep a request as long as the body of its response, and return the response.
 *
 * Node refers weakly to a request: once it is collected, the abort of the signal that it was created with has no
 * effect on the body. */
export function keepWithBody(request: Request, response: Response): Response {
  const { body } = response;
  if (body) requests.set(body, [...(requests.get(body) ?? []), request]);
  return response;
}

// React Native, and Safari before 15.4, drop the reason.
const reasons = new WeakMap<AbortSignal, unknown>();

function abortWith(controller: AbortController, reason: unknown): void {
  reasons.set(controller.signal, reason);
  controller.abort(reason);
}

const reasonOf = (signal: AbortSignal): unknown =>
  signal.reason ??
  reasons.get(signal) ??
  Object.assign(new Error("The call was aborted."), { name: "AbortError" });
