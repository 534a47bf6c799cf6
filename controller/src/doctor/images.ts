import type { BoxClass } from '#shared/box-class.ts';
import { EngineError } from '#shared/faults.ts';
import { failure, type Finding, ok, warning } from '#shared/finding.ts';
import { type Tool, versionIn } from '#shared/tools.ts';
import type { HostEngine } from '../runtime/host-port.ts';
import type { Check } from './check.ts';

/** Of what a program printed, as much is told. */
const maxShown = 120;
const tooSlow = 'look at the load of this machine, and ask again';
/** As shells have it. */
const notFoundExit = 127;

export const imagesCheck: Check = {
  name: 'image',
  looksAt:
    "The image of each class is there, and each tool that the class promises runs in it, as the class's user, and has the promised version.",
  async run(deps, signal) {
    const engine = await deps.engine();
    const found: Finding[] = [];
    // One after the other: each tool is a container of its own.
    for (const boxClass of deps.classes.values()) found.push(...(await ofClass(engine, boxClass, signal)));
    return found;
  },
};

async function ofClass(engine: HostEngine, boxClass: BoxClass, signal: AbortSignal): Promise<Finding[]> {
  const check = `image of class ${boxClass.name}`;
  const { image, pullPolicy, tools } = boxClass;
  const view = await engine.image(image, signal).catch(nullIfLate(signal));
  if (view === null) return [failure(check, `there was no time left to look at ${image}`, tooSlow)];
  if (view.state === 'absent') {
    const mend = `\`docker pull ${image}\`, or build it on the Docker host`;
    if (pullPolicy === 'Never') return [failure(check, `${image} is not there, and is never pulled`, mend)];
    return [warning(check, `${image} is not there: the first box waits until it is pulled`, mend)];
  }
  const words: string[] = [];
  const broken: Finding[] = [];
  const promised = (): string => (words.length > 0 ? `, with ${words.join(', ')}` : '');
  for (const [index, tool] of tools.entries()) {
    const proof = await triedTool(engine, boxClass, tool, signal).catch(nullIfLate(signal));
    if (proof === null) {
      const left = tools.slice(index).map(({ name }) => name);
      const found = `${image}${promised()}; in the time of this check ${left.join(', ')} could not be tried`;
      return [...broken, failure(check, found, tooSlow)];
    }
    if (proof.isThere) words.push(`${tool.name} ${proof.version}`.trimEnd());
    else broken.push(failure(check, proof.why, `mend the image ${image}, or what the class says in \`tools\``));
  }
  return [...broken, ...(broken.length > 0 ? [] : [ok(check, `${image}${promised()}`)])];
}

/** For what was cut off by the end of the check's time. */
function nullIfLate(signal: AbortSignal): (error: unknown) => null {
  return (error) => {
    if (signal.aborted) return null;
    throw error;
  };
}

/** A program that is not there at all is refused by the engine, in words of its own. */
async function triedOut(
  engine: HostEngine,
  tried: Parameters<HostEngine['tryOut']>[0],
  signal: AbortSignal,
): Promise<{ exitCode: number; output: string }> {
  try {
    return await engine.tryOut(tried, signal);
  } catch (error) {
    const kind = error instanceof EngineError ? error.fault.kind : null;
    if (!(error instanceof EngineError) || kind === 'unreachable' || kind === 'timeout') throw error;
    return { exitCode: notFoundExit, output: error.fault.message };
  }
}

/** `version`: as it was found; '' where nobody asks for it. */
async function triedTool(
  engine: HostEngine,
  { image, user }: BoxClass,
  { name, command, version }: Tool,
  signal: AbortSignal,
): Promise<{ isThere: true; version: string } | { isThere: false; why: string }> {
  const typed = command.join(' ');
  const { exitCode, output } = await triedOut(engine, { image, command, user: `${user.uid}:${user.gid}` }, signal);
  const said = output.trim().replaceAll(/\s+/g, ' ').slice(0, maxShown);
  if (exitCode !== 0)
    return { isThere: false, why: `${name} does not run: \`${typed}\` ended with ${exitCode}: ${said}` };
  const found = versionIn(version, output);
  if (found === null) return { isThere: false, why: `${name} has no version /${version}/: \`${typed}\` says ${said}` };
  return { isThere: true, version: found };
}
