/**
 * As whom PostgreSQL runs. It refuses to be root, so when we are root it becomes the owner of its
 * data, or the system user `postgres`, which is made if there is none.
 *
 * That user may not be allowed into the folders above the programs or the data: a clone below
 * `/root` is the usual case. Changing the modes of folders that are not ours is out of the question,
 * so PostgreSQL then keeps one capability, to look into folders and read files, through `setpriv`.
 */
import { execFile, spawnSync } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import { promisify } from 'node:util';

/** Undefined ids mean: as ourselves. */
export interface PostgresUser {
  readonly uid: number | undefined;
  readonly gid: number | undefined;
}

/** How to call a program as the user: put `prefix` in front and spawn with `ids`. */
export interface Launcher {
  readonly prefix: readonly string[];
  readonly ids: { readonly uid?: number; readonly gid?: number };
}

const run = promisify(execFile);
const USER_NAME = 'postgres';

/** PostgreSQL gets an environment of its own; nothing of ours reaches it. */
export const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

async function findUser(name: string): Promise<PostgresUser | undefined> {
  const listed = await run('id', ['-u', name]).catch(() => undefined);
  if (!listed) return undefined;
  const group = await run('id', ['-g', name]);
  return { uid: Number(listed.stdout), gid: Number(group.stdout) };
}

async function createUser(say: (message: string) => void): Promise<PostgresUser> {
  say(`PostgreSQL must not run as root: adding the system user '${USER_NAME}'`);
  try {
    await run('useradd', [
      '--system',
      '--user-group',
      '--no-create-home',
      '--shell',
      '/usr/sbin/nologin',
      USER_NAME,
    ]);
    const user = await findUser(USER_NAME);
    if (user) return user;
    throw new Error('useradd succeeded, but the user cannot be found');
  } catch (error) {
    throw new Error(
      `PostgreSQL must not run as root, and the user '${USER_NAME}' could not be added: ` +
        `${(error as Error).message}. Add it, start as another user, or set DATABASE_URL.`,
      { cause: error },
    );
  }
}

/** `clusterDir` need not exist. Throws when its owner is somebody whom we cannot become. */
export async function postgresUser(
  clusterDir: string,
  say: (message: string) => void,
): Promise<PostgresUser> {
  const owner = await stat(clusterDir).catch(() => undefined);
  const me = process.getuid?.();
  if (me !== 0) {
    if (owner && me !== undefined && owner.uid !== me) {
      throw new Error(
        `The database in ${clusterDir} belongs to uid ${owner.uid}, but the server runs as uid ${me}. ` +
          `Start the server as before, or hand it over: sudo chown -R ${me} ${clusterDir}`,
      );
    }
    return { uid: undefined, gid: undefined };
  }
  if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid };
  return (await findUser(USER_NAME)) ?? (await createUser(say));
}

// Bits of CapBnd in /proc/self/status; the first is the smaller grant.
const CAPABILITIES = [
  { bit: 2n, name: 'dac_read_search' },
  { bit: 1n, name: 'dac_override' },
];

async function grantableCapability(): Promise<string | undefined> {
  const status = await readFile('/proc/self/status', 'utf8').catch(() => '');
  const bounding = BigInt(`0x${/^CapBnd:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? '0'}`);
  return CAPABILITIES.find(({ bit }) => (bounding >> bit) & 1n)?.name;
}

const mayEnter = (user: { uid: number; gid: number }, path: string): boolean =>
  spawnSync('test', ['-x', path], { ...user, cwd: '/', stdio: 'ignore' }).status === 0;

/**
 * `paths` must exist; the user has to reach all of them. Throws when that is impossible, with the
 * folders to open.
 */
export async function launcherFor(user: PostgresUser, paths: readonly string[]): Promise<Launcher> {
  const { uid, gid } = user;
  if (uid === undefined || gid === undefined) return { prefix: [], ids: {} };
  const hidden = paths.filter((path) => !mayEnter({ uid, gid }, path));
  if (hidden.length === 0) return { prefix: [], ids: { uid, gid } };
  const capability = await grantableCapability();
  const prefix = [
    ...['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'],
    ...[
      `--inh-caps=-all,+${capability}`,
      `--ambient-caps=-all,+${capability}`,
      `--bounding-set=-all,+${capability}`,
    ],
    // PostgreSQL looks for itself with access(2), which leaves capabilities out unless told otherwise.
    ...['--securebits=+no_setuid_fixup,+no_setuid_fixup_locked', '--no-new-privs', '--'],
  ];
  const works =
    capability && spawnSync(prefix[0]!, [...prefix.slice(1), 'test', '-x', hidden[0]!], { cwd: '/' });
  if (works && works.status === 0) return { prefix, ids: {} };
  throw new Error(
    `PostgreSQL runs as uid ${uid}, which may not enter the folders above ${hidden.join(' and ')}. ` +
      `Make them searchable (chmod o+x), put the installation and DATA_DIR where everyone may enter, or set DATABASE_URL.`,
  );
}
