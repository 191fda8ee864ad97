/** `flbt`: marks the file as ours, for `file(1)` and for whoever opens it. */
export const APPLICATION_ID = 0x666c6274;
/** Grows with each change of the schema. */
export const SCHEMA_VERSION = 1;

/** The comments stay in the file: `.schema` of the sqlite3 program shows them. */
export const SCHEMA = `
create table entries (
  key any primary key not null, -- text, or a blob of UTF-16 for what is no valid UTF-8
  value any not null, -- as the key; a counter is an integer
  expires_at integer -- milliseconds since 1970, null for never
) strict;
create index entries_by_expiry on entries (expires_at) where expires_at is not null;
pragma application_id = ${APPLICATION_ID};
pragma user_version = ${SCHEMA_VERSION};
`;

const LIVE = '(expires_at is null or expires_at > ?)';
const IS_EXPECTED = "(value = ? or (typeof(value) = 'integer' and cast(value as text) = ?))";

/** Each is atomic by itself. */
export const SQL = {
  get: `select value from entries where key = ? and ${LIVE}`,
  set: `insert into entries (key, value, expires_at) values (?, ?, ?)
    on conflict (key) do update set value = excluded.value, expires_at = excluded.expires_at`,
  add: `insert into entries (key, value, expires_at) values (?, ?, ?)
    on conflict (key) do update set value = excluded.value, expires_at = excluded.expires_at where expires_at <= ?`,
  replace: `update entries set value = ?, expires_at = ? where key = ? and ${IS_EXPECTED} and ${LIVE}`,
  remove: `delete from entries where key = ? and ${IS_EXPECTED} and ${LIVE}`,
  delete: `delete from entries where key = ? and ${LIVE}`,
  increment: `insert into entries (key, value) values (?, 1)
    on conflict (key) do update set value = case when expires_at <= ? then 1 else value + 1 end, expires_at = null
    where expires_at <= ? or typeof(value) = 'integer'
    returning value`,
  purge: `delete from entries where rowid in (select rowid from entries where expires_at <= ? limit ?)`,
} as const;
