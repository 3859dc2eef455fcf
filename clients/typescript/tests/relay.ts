/** A real HTTP server before the API: answers as scripted, one step a request, and afterwards hands requests on. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { API } from "./world.js";

export interface Answer {
  status: number;
  headers?: Record<string, string>;
  body?: string;
}
/** `reset` breaks the connection off, `hang` never answers, `tear` breaks off within the body. */
export type Step = Answer | "pass" | "reset" | "hang" | "tear";
export interface Seen {
  method: string;
  path: string;
  token: string | undefined;
  body: string;
  at: number;
  /** The client went away before it had its answer. */
  abandoned: boolean;
}

const HANDED_BACK = ["content-type", "x-request-id", "retry-after", "www-authenticate"];

export class Relay {
  readonly seen: Seen[] = [];
  readonly #server = createServer((request, response) => void this.#answer(request, response));
  readonly #script: Step[];

  private constructor(script: Step[]) {
    this.#script = script;
  }

  static async start(...script: Step[]): Promise<Relay> {
    const relay = new Relay(script);
    await new Promise<void>((resolve) => relay.#server.listen(0, "127.0.0.1", resolve));
    relay.#server.unref();
    return relay;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Milliseconds from each request to the next. */
  get gaps(): number[] {
    return this.seen.slice(1).map(({ at }, before) => at - (this.seen[before]?.at ?? at));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = "", url = "", headers } = request;
    const body = (await request.toArray()).map(String).join("");
    const at = performance.now();
    const seen: Seen = { method, path: url, token: headers.authorization, body, at, abandoned: false };
    this.seen.push(seen);
    response.on("close", () => {
      seen.abandoned = !response.writableFinished;
    });
    const step = this.#script.shift() ?? "pass";
    if (step === "hang") return;
    if (step === "reset") request.socket.resetAndDestroy();
    else if (step === "tear") {
      response.writeHead(200, { "Content-Type": "application/json", "Content-Length": 1000 });
      response.write('{"id": ', () => request.socket.destroy());
    } else if (step === "pass") await this.#pass(request, body, response);
    else response.writeHead(step.status, step.headers).end(step.body);
  }

  async #pass({ method = "", url = "", headers }: IncomingMessage, body: string, response: ServerResponse) {
    const kept = Object.entries(headers).filter(([name]) =>
      /^(authorization|content-type|accept|x-.*)$/.test(name),
    );
    const answer = await fetch(API + url, {
      method,
      headers: kept as [string, string][],
      body: body || null,
    });
    for (const name of HANDED_BACK) {
      const value = answer.headers.get(name);
      if (value !== null) response.setHeader(name, value);
    }
    response.writeHead(answer.status).end(await answer.text());
  }
}
