import { ApiShapeError } from "./errors.js";

/** What happens to a 2xx response that does not match the schema: the call rejects, or it is logged and returned.
 *
 * By default a response whose only fault are unknown values of enums is logged, and any other one is an error. */
export type OnShape = "throw" | "report";

type Validate = (data: unknown) => Promise<unknown>;
/** An issue of zod, which is not imported for it: `isTransient` alone would bring it along. */
interface Issue {
  code: string;
  path: PropertyKey[];
  values?: unknown[];
  errors?: Issue[][];
}

/** Return a validator that logs what `onShape` permits and throws the rest as `ApiShapeError`. */
export function reportingValidator(
  validate: Validate,
  request: Request,
  response: Response,
  onShape: OnShape | undefined,
): Validate {
  return async (data) => {
    try {
      await validate(data);
    } catch (error) {
      const issues = readIssues(error);
      if (!issues) throw error;
      const severe = issues.filter((issue) => !isUnknownEnumValue(issue, data));
      const isReported = onShape === "report" || (onShape !== "throw" && severe.length === 0);
      const shape = shapeError(request, response, severe[0] ?? issues[0]);
      logShape(shape);
      if (!isReported) throw shape;
    }
  };
}

export const notJson = (request: Request, response: Response): ApiShapeError =>
  new ApiShapeError(request, response, "", "not JSON");

export function logShape(error: ApiShapeError): void {
  console.error(error.message, { requestId: error.requestId });
}

const shapeError = (request: Request, response: Response, issue: Issue | undefined): ApiShapeError =>
  new ApiShapeError(request, response, issue?.path.map(String).join(".") ?? "", issue?.code ?? "unknown");

function readIssues(error: unknown): Issue[] | undefined {
  const { issues } = (error ?? {}) as { issues?: Issue[] };
  return error instanceof Error && Array.isArray(issues) ? issues : undefined;
}

/** Return whether the value has the type of the enum's values, and is none of them. */
function isUnknownEnumValue({ code, path, values, errors }: Issue, data: unknown): boolean {
  const value = path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown>)[key], data);
  if (code === "invalid_union") {
    return errors?.some((issues) => issues.every((issue) => isUnknownEnumValue(issue, value))) === true;
  }
  return code === "invalid_value" && values?.some((known) => typeof known === typeof value) === true;
}
