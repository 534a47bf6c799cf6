import { appendFileSync } from 'node:fs';
import { registerHooks } from 'node:module';

/** To be imported before a process's own program: writes the address of every module that is loaded to the file that is named. */
const file = process.env.LOADED_MODULES_FILE;
if (file === undefined) throw new Error('LOADED_MODULES_FILE is not set');

registerHooks({
  load(url, context, nextLoad) {
    appendFileSync(file, `${url}\n`);
    return nextLoad(url, context);
  },
});
