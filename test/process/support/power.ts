/**
 * Power loss without special hardware: an ext4 file system in a file, shut down by ioctl without a flush of its log. What
 * was not synced is gone, what was is there. The processes must stand still first, or a sync under way may be answered
 * although its data is lost. Needs root, loop devices and perl (for the ioctl).
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** _IOR('X', 125, u32): EXT4_IOC_SHUTDOWN; flag 2 = do not flush the log. */
const cutProgram = `use Fcntl; sysopen(my $d, $ARGV[0], O_RDONLY) or die "open: $!"; my $f = pack("L", 2); ioctl($d, 0x8004587d, $f) or die "ioctl: $!";`;

/** What is missing for power-loss tests here; null = nothing. */
export function powerLossMissing(): string | null {
  if (process.platform !== 'linux') return 'power loss is emulated on Linux only';
  if (process.getuid?.() !== 0) return 'mounting a file system needs root';
  for (const tool of ['mkfs.ext4', 'mount', 'umount', 'perl', 'truncate']) {
    if (spawnSync('sh', ['-c', `command -v ${tool}`]).status !== 0) return `${tool} is not installed`;
  }
  if (!existsSync('/dev/loop-control')) return 'there are no loop devices';
  const disk = new Disk(32);
  try {
    disk.mount();
    disk.cut();
    return null;
  } catch (error) {
    return `an ext4 file system cannot be cut off here: ${error instanceof Error ? error.message : String(error)}`;
  } finally {
    disk.remove();
  }
}

export class Disk {
  /** Where it is mounted; others may walk down to it. */
  readonly folder: string;
  readonly #base: string;
  readonly #image: string;
  #mounted = false;

  constructor(megabytes: number) {
    this.#base = mkdtempSync(join(tmpdir(), 'eventspine-disk-'));
    chmodSync(this.#base, 0o755);
    this.#image = join(this.#base, 'disk.img');
    this.folder = join(this.#base, 'mounted');
    mkdirSync(this.folder);
    run('truncate', ['-s', `${megabytes}M`, this.#image]);
    run('mkfs.ext4', ['-qF', this.#image]);
  }

  mount(): void {
    run('mount', ['-o', 'loop', this.#image, this.folder]);
    this.#mounted = true;
  }

  /** What was written so far is kept, synced or not by whoever wrote it. */
  sync(): void {
    run('sync', ['-f', this.folder]);
  }

  /** The power goes. Whoever holds files there gets EIO from now on. */
  cut(): void {
    run('perl', ['-e', cutProgram, this.folder]);
  }

  unmount(): void {
    if (!this.#mounted) return;
    run('umount', [this.folder]);
    this.#mounted = false;
  }

  remove(): void {
    if (this.#mounted) spawnSync('umount', ['-l', this.folder]);
    rmSync(this.#base, { recursive: true, force: true });
  }
}

function run(command: string, args: readonly string[]): void {
  const result = spawnSync(command, args, { encoding: 'utf8' });
  if (result.status !== 0)
    throw new Error(`${command} ${args.join(' ')}: ${result.stderr.trim() || String(result.error ?? result.status)}`);
}
