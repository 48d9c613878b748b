import { expect } from "vitest";
import { silentLogger } from "../../lib/log.ts";
import { createRestApp, type RestLimits } from "./rest-app.ts";
import { TestControl } from "./test-control.ts";

export const configuration = "/v1/configuration/datasets";
export const absentId = "99999999-9999-4999-8999-999999999999";
export const undecodable =
  "The request body could not be decoded according to the value of the\nContent-Type header.";
export const notSchema = "The provided JSON doesn't match the required schema.";

type Method = "GET" | "POST" | "PUT" | "DELETE" | "HEAD";
export type Said = { readonly status: number; readonly body: unknown; readonly allow: unknown };
export type TestApi = {
  readonly control: TestControl;
  readonly app: ReturnType<typeof createRestApp>;
  /** Asks without a network; each answer is one line of JSON with the bare content type. */
  readonly say: (method: Method, url: string, payload?: unknown) => Promise<Said>;
};

/** Without certificates: they count when somebody connects. */
export function testApi(limits: Partial<RestLimits> = {}): TestApi {
  const control = new TestControl();
  const tls = {};
  const app = createRestApp({ control, log: silentLogger, tls, limits });
  const say = async (method: Method, url: string, payload?: unknown): Promise<Said> => {
    const text = typeof payload === "string" ? payload : JSON.stringify(payload);
    const answer = await app.inject({
      method,
      url,
      ...(payload === undefined ? {} : { payload: text }),
    });
    expect(answer.headers["content-type"]).toBe("application/json");
    expect(answer.body).not.toContain("\n");
    const body: unknown = method === "HEAD" ? null : JSON.parse(answer.body);
    return { status: answer.statusCode, body, allow: answer.headers["allow"] };
  };
  return { control, app, say };
}
