import { type Command, exitCodes, usageError } from '../command.ts';
import { print } from '../output.ts';

/** Each asks `spoonbox __complete -- WORD…`, whose last word is the one that is being typed. */
const scripts = {
  bash: `_spoonbox() {
  local IFS=$'\\n'
  COMPREPLY=($(spoonbox __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _spoonbox spoonbox`,
  zsh: `#compdef spoonbox
_spoonbox() {
  local -a found
  found=("\${(@f)$(spoonbox __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  compadd -a found
}
compdef _spoonbox spoonbox`,
  fish: `complete -c spoonbox -f -a '(spoonbox __complete -- (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'`,
} as const;

export const completion: Command = {
  name: 'completion',
  summary: 'completion of commands, options and users for bash, zsh or fish',
  help: `Prints what makes a shell complete commands, options, and users, leases, sessions and classes (which the server is asked for).

Usage: spoonbox completion bash|zsh|fish

Examples
  source <(spoonbox completion bash)
  spoonbox completion fish > ~/.config/fish/completions/spoonbox.fish`,
  async run(args) {
    const [shell] = args;
    if (shell === undefined) throw usageError('say for which shell: bash, zsh or fish', 'completion');
    const script = Object.entries(scripts).find(([known]) => known === shell)?.[1];
    if (script === undefined) throw usageError(`${shell} is none of bash, zsh, fish`, 'completion');
    print(script);
    return exitCodes.ok;
  },
};
