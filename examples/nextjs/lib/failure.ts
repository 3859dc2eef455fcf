import { ApiError, isTransient } from "@/api";

export interface Failure {
  title: string;
  advice: string;
  action: "retry" | "sign in" | "sign out";
}

/** Return what to show for an error of a call. A 401 is about the session, a 403 about the user, a 503 about neither. */
export function describe(error: unknown): Failure {
  if (error instanceof ApiError && error.status === 401) {
    return { title: "Your session has ended", advice: "Sign in again to go on.", action: "sign in" };
  }
  if (error instanceof ApiError && error.status === 403) {
    return { title: "You have no access", advice: error.message, action: "sign out" };
  }
  if (isTransient(error)) {
    return { title: "The service is not available", advice: "You are still signed in.", action: "retry" };
  }
  return { title: "Something went wrong", advice: "The error was logged.", action: "retry" };
}
