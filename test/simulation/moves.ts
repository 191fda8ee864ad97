import { type Action, asInstant, isLive } from 'fleetbeat';
import type { Book } from './book.ts';
import type { Tell } from './happenings.ts';
import { beat, complain, type Life } from './life.ts';
import { FATES, type Fate, type Network } from './network.ts';
import { ARMED, COMMANDS } from './requests.ts';
import { IPS, type Setting, type Stage } from './stage.ts';

/** What a move may touch. */
export interface Scene {
  readonly stage: Stage;
  readonly network: Network;
  readonly setting: Setting;
  /** All that ever began, the dead included. */
  readonly lives: Life[];
  readonly tell: Tell;
  readonly book: Book;
}

/** One thing that happens next. */
export interface Move {
  readonly text: () => string;
  readonly make: () => void | Promise<void>;
}

/** Takes numbers out of one number. Zero gives zeros: always the first, the mildest. */
interface Draw {
  below(bound: number): number;
}

const DETAILS = 4096;

/** Every move and how often it is chosen; a smaller number is a milder move, so that shrinking finds what matters. */
const MOVES: readonly { readonly weight: number; readonly move: (draw: Draw, scene: Scene) => Move }[] = [
  { weight: 52, move: answer },
  { weight: 18, move: answerAll },
  { weight: 18, move: beatNext },
  { weight: 6, move: passTime },
  { weight: 10, move: dispatch },
  { weight: 6, move: arm },
  { weight: 4, move: push },
  { weight: 4, move: decide },
  { weight: 3, move: mishap },
  { weight: 2, move: crash },
  { weight: 1, move: stop },
  { weight: 2, move: stepClock },
];

const TABLE = MOVES.flatMap(({ weight, move }) => Array.from({ length: weight }, () => move));

/** The bound of the numbers that a schedule is made of. */
export const BOUND = TABLE.length * DETAILS;

/** How a schedule begins, by its first number. */
export function settingOf(number: number): Setting {
  const draw = drawFrom(number);
  const isFenced = draw.below(2) === 1;
  const skewMs = [0, 0, 700, -700][draw.below(4)] ?? 0;
  return { isFenced, skewMs, isWatched: draw.below(8) === 7 };
}

export function moveOf(number: number, scene: Scene): Move {
  const make = TABLE[Math.floor(number / DETAILS)] ?? answer;
  return make(drawFrom(number % DETAILS), scene);
}

function drawFrom(number: number): Draw {
  let left = number;
  return {
    below(bound) {
      const drawn = left % bound;
      left = Math.floor(left / bound);
      return drawn;
    },
  };
}

const living = ({ lives }: Scene): readonly Life[] => lives.filter((life) => life.isAlive && !life.isStopping);

const nothing: Move = { text: () => '', make: () => {} };

/** Where nothing is under way, time passes and somebody beats. */
function answer(draw: Draw, scene: Scene): Move {
  const { network } = scene;
  if (network.pending === 0) return beatNext(draw, scene);
  const place = draw.below(Math.min(network.pending, 16));
  const fate = fateOf(draw.below(16));
  return { text: () => '', make: () => network.deliver(place, fate) };
}

const fateOf = (drawn: number): Fate => FATES[Math.max(0, drawn - 11)] ?? 'answered';

function answerAll(draw: Draw, scene: Scene): Move {
  const { network } = scene;
  const least = draw.below(3);
  return {
    text: () => '',
    async make() {
      for (let i = 0; i < 200 && network.pending > least; i++) await network.deliver(0, 'answered');
    },
  };
}

function beatNext(draw: Draw, scene: Scene): Move {
  const lives = living(scene);
  const life = lives[draw.below(2) % Math.max(lives.length, 1)];
  const ms = [2000, 1000, 0, 3000, 5000, 500, 9000, 200][draw.below(8)] ?? 0;
  if (!life) return passTime(draw, scene);
  return {
    text: () => `${ms} ms pass, ${life.name} beats`,
    make() {
      scene.stage.pass(ms);
      beat(life, scene.tell);
    },
  };
}

function passTime(draw: Draw, { stage }: Scene): Move {
  const ms = [1000, 300, 4000, 9000, 15_000][draw.below(5)] ?? 0;
  return { text: () => `${ms} ms pass`, make: () => stage.pass(ms) };
}

function dispatch(draw: Draw, scene: Scene): Move {
  const command = COMMANDS[draw.below(COMMANDS.length)];
  const life = chosen(draw, scene);
  if (!command || !life) return nothing;
  return {
    text: () => `${life.name} is told: ${command.level} ${command.action} ${command.group}`,
    make() {
      life.fleet.dispatch(command).then(
        ({ started, deferred }) => scene.tell({ is: 'armed', by: life, actions: [...started, ...deferred] }),
        (error: unknown) => complain(life, 'dispatch', error, scene.tell),
      );
    },
  };
}

function arm(draw: Draw, scene: Scene): Move {
  const armed = ARMED[draw.below(ARMED.length)];
  const life = chosen(draw, scene);
  if (!armed || !life) return nothing;
  return {
    text: () => `${life.name} arms ${armed.steps.map((step) => `${step.do.verb} in ${step.lane}`).join(', ')}`,
    make() {
      life.fleet.arm(armed.steps, armed.options).then(
        (actions) => scene.tell({ is: 'armed', by: life, actions }),
        (error: unknown) => complain(life, 'arm', error, scene.tell),
      );
    },
  };
}

/** A host's heartbeat sets out to one or both fleets, perhaps twice; the network brings them in whatever order. */
function push(draw: Draw, scene: Scene): Move {
  const { stage, network } = scene;
  const ip = IPS[draw.below(IPS.length)] ?? '10.0.0.1';
  const copies = 1 + draw.below(3);
  const restarts = draw.below(8) === 7;
  return {
    text: () => `the host at ${ip} ${restarts ? 'restarts and ' : ''}sends its heartbeat ${copies} times`,
    async make() {
      if (restarts) stage.restartSource(ip);
      const heartbeatAt = await stage.heartbeatOf(ip);
      const lives = living(scene);
      for (let i = 0; i < copies; i++) {
        const life = lives[i % Math.max(lives.length, 1)];
        if (!life) continue;
        const heartbeat = heartbeatAt(asInstant(life.now()));
        const { source, epoch, seq } = heartbeat;
        network.post(
          () => `${source} ${epoch} ${seq} to ${life.name}`,
          () => {
            if (!life.isAlive || life.isStopping) return;
            scene.tell({ is: 'hears', by: life, beat: heartbeat });
            const end = () => scene.tell({ is: 'has heard', by: life, beat: heartbeat });
            life.fleet.observe(heartbeat).then(end, (error: unknown) => {
              end();
              complain(life, 'observe', error, scene.tell);
            });
          },
        );
      }
    },
  };
}

/** A person decides about an action that the fleet knows of. */
function decide(draw: Draw, scene: Scene): Move {
  const life = chosen(draw, scene);
  const actions = life?.fleet.actions() ?? [];
  const action = actions[draw.below(8) % Math.max(actions.length, 1)];
  if (!life || !action) return nothing;
  const decision = decisionFor(action, draw);
  return {
    text: () => `${life.name} is told: ${decision} ${action.token}`,
    make() {
      if (decision === 'retry') scene.tell({ is: 'retried', id: action.id });
      const decided = decision === 'extend' ? life.fleet.extend(action.id, 5000) : life.fleet[decision](action.id);
      decided.catch((error: unknown) => complain(life, decision, error, scene.tell));
    },
  };
}

const decisionFor = (action: Action, draw: Draw): 'cancel' | 'extend' | 'retry' | 'discard' => {
  const isMild = draw.below(2) === 0;
  if (isLive(action)) return isMild ? 'cancel' : 'extend';
  return isMild ? 'retry' : 'discard';
};

/** A process dies where it stands; the next one begins on the same host. */
function crash(draw: Draw, scene: Scene): Move {
  const life = chosen(draw, scene);
  if (!life) return nothing;
  return {
    text: () => `${life.name} dies; ${life.host.name}${life.host.lives + 1} begins`,
    make() {
      life.isAlive = false;
      scene.lives.push(scene.stage.start(life.host));
    },
  };
}

/** A process ends in good order, which takes the answers that it waits for; the next one begins on the same host. */
function stop(draw: Draw, scene: Scene): Move {
  const life = chosen(draw, scene);
  if (!life) return nothing;
  return {
    text: () => `${life.name} is stopped`,
    make() {
      life.isStopping = true;
      const end = () => {
        life.isAlive = false;
        scene.lives.push(scene.stage.start(life.host));
      };
      life.fleet.stop().then(end, (error: unknown) => {
        complain(life, 'stop', error, scene.tell);
        end();
      });
    },
  };
}

function mishap(draw: Draw, { stage: { simulated }, tell }: Scene): Move {
  const { world, faults } = simulated;
  const name = draw.below(2) === 0 ? 'cache1' : 'cache2';
  const ip = name === 'cache1' ? '10.0.0.1' : '10.0.0.2';
  const mishaps: readonly (readonly [string, () => void])[] = [
    ['the next call is refused', () => faults.once('callRefused')],
    ['ssh does not answer once', () => faults.once('sshFlap')],
    [`${name} crashes`, () => world.crash(name)],
    ['a read ends halfway', () => faults.once('throttled')],
    [`${name} hangs`, () => world.hang(name)],
    ['the provider shows what was', () => faults.once('eventualConsistency')],
    [`the power of ${ip} is cut`, () => world.powerAt(ip) !== null && world.power(ip, 'off')],
    [`the power of ${ip} comes back`, () => world.powerAt(ip) !== null && world.power(ip, 'on')],
  ];
  const [what, happen] = mishaps[draw.below(mishaps.length)] ?? ['nothing', () => {}];
  return {
    text: () => what,
    make() {
      happen();
      tell({ is: 'mishap', ip, what });
    },
  };
}

/** A clock jumps. Only where hosts refuse old fences: nothing else holds off a leader whose time stands still. */
function stepClock(draw: Draw, { stage, setting }: Scene): Move {
  const host = stage.hosts[draw.below(2)];
  const ms = [5000, -5000, 20_000, -20_000][draw.below(4)] ?? 0;
  if (!setting.isFenced || !host) return nothing;
  return {
    text: () => `the clock of ${host.name} jumps by ${ms} ms`,
    make() {
      host.clockMs += ms;
    },
  };
}

function chosen(draw: Draw, scene: Scene): Life | undefined {
  const lives = living(scene);
  return lives[draw.below(2) % Math.max(lives.length, 1)];
}
