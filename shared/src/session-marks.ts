/**
 * Every process that a terminal or a job runs in a box carries this mark in its environment, and the session's id in it: so its
 * processes are found whoever started them. The scripts are POSIX sh, as in busybox, one exec each.
 */
export const sessionVariable = 'SPOONBOX_SESSION';

/**
 * $1 session, $2 grace in tenths of a second, $3 1 = spare what was made to outlive its terminal. Ends whatever carries the
 * session's mark: HUP and CONT (a tmux server takes TERM only), then KILL, some times, because what is killed may just have
 * started another; exit code 1 = some are left.
 *
 * Spared is what ignores HUP (`nohup`), and what is in a session of its own, in the kernel's sense (`setsid`, the user's own
 * tmux): its leader lives, and was not started from outside of the box. Never spared are the session's first process and
 * its own tmux, which bears its name.
 */
const endScript = `s=$1; spare=$3
spared() { [ "$spare" = 1 ] || return 1
grep -qszFx -e "$s" -e "spoonbox-$s" /proc/$1/cmdline && return 1
grep -qs '^PPid:[[:space:]]*0$' /proc/$1/status && return 1
grep -qs '^SigIgn:.*[13579bdf]$' /proc/$1/status && return 0
l=$(sed 's/.*) //' /proc/$1/stat 2>/dev/null | cut -d ' ' -f 4); grep -qs '^PPid:[[:space:]]*[1-9]' /proc/$l/status; }
left() { for f in $(grep -lszFx "${sessionVariable}=$s" /proc/[0-9]*/environ); do f=\${f%/environ}; f=\${f#/proc/}
spared $f || echo $f; done; }
p=$(left); [ -n "$p" ] || exit 0
kill -HUP $p; kill -CONT $p; i=0
for t in $p; do grep -qsx 'tmux: server' /proc/$t/comm && kill -TERM $t; done
while [ $i -lt "$2" ]; do sleep 0.1; p=$(left); [ -n "$p" ] || exit 0; i=$((i+1)); done
for i in 1 2 3 4 5; do kill -KILL $p; sleep 0.1; p=$(left); [ -n "$p" ] || exit 0; done; exit 1`;

export function endCommand(session: string, graceMs: number, spareDaemons: boolean): string[] {
  return ['/bin/sh', '-c', endScript, 'spoonbox', session, String(Math.ceil(graceMs / 100)), spareDaemons ? '1' : '0'];
}

/**
 * Prints the mark of each process that was started from outside of the box, and of each tmux server that bears its mark's
 * name: the sessions that run. What a user started in one to outlive it carries the mark too, and is not asked for.
 */
const marksScript = `for f in $(grep -ls '^PPid:[[:space:]]*0$' /proc/[0-9]*/status; grep -lsx 'tmux: server' /proc/[0-9]*/comm)
do m=$(tr '\\0' '\\n' 2>/dev/null <\${f%/*}/environ | sed -n 's/^${sessionVariable}=//p' | head -n 1)
[ -n "$m" ] || continue
case $f in */comm) grep -qszFx -e "$m" -e "spoonbox-$m" \${f%/*}/cmdline || continue;; esac
echo "$m"; done`;

export const marksCommand: readonly string[] = ['/bin/sh', '-c', marksScript, 'spoonbox'];
