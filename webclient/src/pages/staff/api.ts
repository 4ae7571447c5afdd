// The staff's JSON API. Errors carry both languages; a lost session is an event of its own.

export interface Me {
  username: string;
  permissions: string[];
  must_change_password: boolean;
}

export interface Study {
  study_key: number;
  patient_name: string;
  patient_id: string;
  patient_sex: string;
  patient_birth_date: string | null;
  accession_number: string;
  study_description: string;
  study_at: string;
  modalities: string[];
  body_parts: string[];
  series_count: number;
  instance_count: number;
  arriving: boolean;
  conflict_count: number;
}

export interface ShareEntry {
  share_key: number;
  created_at: string;
  expires_at: string;
  revoked_at: string | null;
  hide_identity: boolean;
  opened_count: number;
}

export interface NewShare {
  share: number;
  url: string;
  code: string;
  expires: string;
  qr_svg: string;
}

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly texts: Record<string, string>,
    readonly reference: string,
  ) {
    super(code);
  }
}

export async function call<T>(path: string, body?: unknown): Promise<T> {
  const response = await fetch(path, {
    method: body === undefined ? "GET" : "POST",
    headers: {
      Accept: "application/json",
      ...(body === undefined ? {} : { "Content-Type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (response.ok) return (await response.json()) as T;
  const problem = (await response.json().catch(() => ({}))) as Record<string, unknown>;
  throw new ApiError(
    response.status,
    String(problem["code"] ?? "http.failed"),
    (problem["message"] as Record<string, string> | undefined) ?? {},
    String(problem["correlation_id"] ?? ""),
  );
}
