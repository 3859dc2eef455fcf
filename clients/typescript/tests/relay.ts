/** An HTTP server in front of the API. It answers one request per scripted step, then forwards requests to the API. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { API } from "./servers.js";

export interface Answer {
  status: number;
  headers?: Record<string, string>;
  body?: string;
}
/** `pass` forwards to the API, `slow` does so after 1 s, `reset` closes the connection, `hang` never answers, `tear`
 * closes it within the body, and `stall` stops there. */
export type Step = Answer | "pass" | "slow" | "reset" | "hang" | "tear" | "stall";
export interface Seen {
  method: string;
  path: string;
  token: string | undefined;
  body: string;
  at: number;
  /** Whether the client closed the connection before the response was complete. */
  abandoned: boolean;
}

const CORS_HEADERS = [
  ["Access-Control-Allow-Origin", "*"],
  ["Access-Control-Allow-Headers", "authorization, content-type"],
  ["Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE"],
  ["Access-Control-Expose-Headers", "*"],
] as const;
const FORWARDED_HEADERS = ["content-type", "x-request-id", "retry-after", "www-authenticate"];

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

  /** Milliseconds between each request and the next. */
  get gaps(): number[] {
    return this.seen.slice(1).map(({ at }, before) => at - (this.seen[before]?.at ?? at));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = "", url = "", headers } = request;
    for (const [name, value] of CORS_HEADERS) response.setHeader(name, value);
    if (headers["access-control-request-method"]) {
      response.writeHead(204).end();
      return;
    }
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
    } else if (step === "stall") {
      response
        .writeHead(200, { "Content-Type": "application/json", "Content-Length": 1000 })
        .write('{"id": ');
    } else if (step === "slow") {
      await sleep(1000);
      await this.#forward(request, body, response);
    } else if (step === "pass") await this.#forward(request, body, response);
    else response.writeHead(step.status, step.headers).end(step.body);
  }

  async #forward(
    { method = "", url = "", headers }: IncomingMessage,
    body: string,
    response: ServerResponse,
  ) {
    const forwarded = Object.entries(headers).filter(([name]) =>
      /^(authorization|content-type|accept|x-.*)$/.test(name),
    );
    const upstream = await fetch(API + url, {
      method,
      headers: forwarded as [string, string][],
      body: body || null,
    });
    for (const name of FORWARDED_HEADERS) {
      const value = upstream.headers.get(name);
      if (value !== null) response.setHeader(name, value);
    }
    response.writeHead(upstream.status).end(await upstream.text());
  }
}
