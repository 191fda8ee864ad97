import type { ServiceState } from './service.ts';

/** A result code of the wire, six characters. Codes that we do not know are kept as they are. */
export type Code = string;

/** The code of success, and of whatever runs. */
export const OK: Code = '000000';

/** Every code with its text: the seed's table, then ours from ER0200 on. */
export const CODE_TEXTS = {
  '000000': 'running',
  ER0001: 'SQL command failure',
  ER0002: 'Remote manager communication failure',
  ER0003: 'Database communication failure',
  ER0004: 'Remote manager command failure',
  ER0005: 'Memcache communication failure',
  ER0006: 'Remote write configuration failure',
  ER0007: 'Remote monitoring execution failure',
  ER0008: "Can't create remote monitoring db",
  ER0009: 'Database error in memc_set()',
  ER0010: 'Database error in memc_servers_set()',
  ER0011: 'No Memcached for heartbeat',
  ER0014: 'No Memcached status for action',
  ER0015: 'No Memcached actions',
  ER0016: 'Delayed start until instance start',
  ER0017: 'Delayed start until instance creation',
  ER0018: 'Remote command failed',
  ER0019: 'starting',
  ER0020: 'stopping',
  ER0021: 'installing',
  ER0022: 'removing',
  ER0023: 'stopped',
  ER0024: 'uninstalled',
  ER0200: 'unknown',
  ER0201: 'Unknown level',
  ER0202: 'Unknown action',
  ER0203: 'Unknown group',
  ER0204: 'Unknown type or mode',
  ER0205: 'Does not exist',
  ER0206: 'Not possible in this state',
  ER0207: 'Lane held by a failed action',
  ER0208: 'Address conflict',
  ER0209: 'Awaited state holds, yet the action cannot run',
  ER0210: 'Token of no stored action',
  ER0211: 'Not the leader',
  ER0212: 'Deadline passed',
  ER0213: 'Perhaps called, never seen done',
  ER0214: 'Chart failed',
  ER0215: 'Entity is gone',
  ER0216: 'Host is lost',
  ER0217: 'Cancelled',
  ER0218: 'Needs unmet',
  ER0219: 'Expired',
  ER0220: 'Outcome unknown',
  ER0221: 'Refused by the driver',
  ER0222: 'Malformed input',
  ER0223: 'Input too large',
  ER0224: 'Not allowed',
  ER0225: 'No such action',
  ER0226: 'Action is in another status',
  ER0227: 'Waiting',
  ER0228: 'Store failure',
  ER0229: 'No driver for this',
  ER0230: 'Configuration error',
  ER0231: 'Package missing',
  ER0232: 'Fleet stopped',
  ER0233: 'Source out of its authority',
  ER0234: 'Source clock out of range',
  ER0235: 'Observation failed',
  ER0236: 'State out of reach',
  ER0237: 'Record of another version',
  ER0238: 'In maintenance',
  ER0239: 'Too much lost at once',
  ER0240: 'ssh refused',
  ER0241: 'ssh timeout',
  ER0242: 'ssh silent',
  ER0243: 'ssh authentication failed',
  ER0244: 'ssh host key changed',
  ER0245: 'Budget spent',
  ER0246: 'Recovery given up',
  ER0247: 'Not to run',
  ER0248: 'Suspect',
  ER0249: 'Held down',
  ER0250: 'Data that the master does not have',
  ER0251: 'To be asked twice',
  ER0252: 'Another master',
  ER0253: 'Position not reached',
  ER0254: 'Not replicating',
  ER0255: 'Being recovered',
  ER0256: 'Another recovery under way',
  ER0257: 'Loss not confirmed',
  ER0258: 'Not fenced',
  ER0259: 'Master being changed',
  ER0270: 'Disk full',
  ER0271: 'Checksum differs',
} as const satisfies Record<Code, string>;

export type KnownCode = keyof typeof CODE_TEXTS;

/** The text of a code; a code that is not in the table is its own text. */
export const textOf = (code: Code): string => (Object.hasOwn(CODE_TEXTS, code) ? CODE_TEXTS[code as KnownCode] : code);

/** The code whose text is `text` (as `event_state` may carry it), or null. */
export const codeOfText = (text: string): KnownCode | null => BY_TEXT.get(text) ?? null;

const BY_TEXT: ReadonlyMap<string, KnownCode> = new Map(
  Object.entries(CODE_TEXTS).map(([code, text]) => [text, code as KnownCode]),
);

/** What a service's code says of its state. Codes that are read but never written are at the end. */
const STATE_OF_CODE: ReadonlyMap<Code, ServiceState> = new Map<Code, ServiceState>([
  ['000000', 'up'],
  ['ER0019', 'starting'],
  ['ER0020', 'stopping'],
  ['ER0023', 'stopped'],
  ['ER0024', 'uninstalled'],
  ['ER0002', 'failing'],
  ['ER0003', 'failing'],
  ['ER0004', 'failing'],
  ['ER0005', 'failing'],
  ['ER0018', 'failing'],
  ['ER0270', 'failing'],
  ['ER0021', 'starting'],
  ['ER0022', 'stopping'],
]);

/** The chart's word for a service's code; `unknown` for every other code. `up` may be more by what the service holds. */
export const stateOfCode = (code: Code): ServiceState => STATE_OF_CODE.get(code) ?? 'unknown';

/** The code that we write for a chart's word. `failing` has several; the kind says which, this is the fallback. */
export const CODE_OF_STATE = {
  unknown: 'ER0200',
  uninstalled: 'ER0024',
  stopped: 'ER0023',
  starting: 'ER0019',
  stopping: 'ER0020',
  failing: 'ER0018',
  up: '000000',
  replicating: '000000',
  routed: '000000',
} as const satisfies Record<ServiceState, KnownCode>;

/** Refusals that the same call will meet again. */
const FINAL: ReadonlySet<Code> = new Set<Code>([
  'ER0201',
  'ER0202',
  'ER0203',
  'ER0204',
  'ER0205',
  'ER0210',
  'ER0213',
  'ER0222',
  'ER0223',
  'ER0224',
  'ER0229',
  'ER0230',
  'ER0231',
  'ER0236',
  'ER0243',
  'ER0244',
  'ER0250',
  'ER0251',
]);

/** Whether another try of what failed with `code` may succeed. */
export const isRetryable = (code: Code): boolean => !FINAL.has(code);

/** `code` where the table has it, else `fallback`: errors of ours carry no foreign codes. */
export const knownCode = (code: Code, fallback: KnownCode): KnownCode =>
  Object.hasOwn(CODE_TEXTS, code) ? (code as KnownCode) : fallback;
