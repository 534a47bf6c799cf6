/**
 * Writes a vault into the home. Runs in the box as its user, so it reaches what the user reaches; of programs it needs a shell and
 * coreutils. Links are followed as the user would follow them: a directory of the path may be one, and where the file itself is one,
 * what it leads to is replaced, not the link.
 *
 * It remembers what it wrote in the home itself, `~/.local/state/spoonbox/vault`: the home is what outlives Redis and the box, and
 * what the record speaks of. Its first line is `spoonbox 1 <revision>`; then lines `<kind> <mode> <sha256> /<path>/`:
 *   had   this was written there
 *   try   this was about to be: a death between that and its end leaves the one or the other
 *   file  (mode and hash are `-`) something was written there; where nothing is now, the user removed it
 *   done  (the mode is a revision) what was asked for with it was done here, while others failed that have it asked for again
 *
 * $1: after how many seconds it is killed.
 *
 * On stdin: `<entries> <bytes> <revision>`, then for each entry `<order> <revision> <mode> <sha256> <bytes> /<path>/`, then the
 * contents one after the other. Orders: `put`, `take` (put it whatever is there, once; a copy stays beside it), `drop` (remove what
 * was written, unless it was edited; once). Slashes around paths, because `read` takes spaces from the ends of a line.
 *
 * On stdout, one a line, with tabs: `edited|foreign|removed|no-file <path>`, `failed <path> <why>`, and `done` as the last. A file
 * is as it was, or as it is to be, never half of it: it is written beside its place, and renamed.
 */
export const vaultScript = String.raw`set -uf; umask 077; LC_ALL=C; export LC_ALL
nl='
'
die() { printf '%s\n' "$1" >&2; exit 1; }
cd "$HOME" || die 'the home cannot be entered'

# One at a time: the writer of a leader that is gone may still be under way. In a place that ends with the container.
# After a restart of that, its pid may be anything else's: no writer lives longer than its limit.
lock=/tmp/.spoonbox-vault tries=0
if [ -d /tmp ] && [ -w /tmp ]; then
  until mkdir "$lock" 2>/dev/null; do
    holder=$(cat "$lock/pid" 2>/dev/null) since=$(stat -c %Y "$lock/pid" 2>/dev/null || date +%s)
    if [ -n "$holder" ] && { ! kill -0 "$holder" 2>/dev/null || [ "$(($(date +%s)-since))" -gt "$1" ]; }; then
      rm -rf "$lock" || die "$lock cannot be removed"; continue
    fi
    tries=$((tries+1)); sleep 0.1
    [ "$tries" -le 50 ] && continue
    [ -z "$holder" ] || die 'another one is writing the vault'
    [ -e "$lock" ] || die "$lock cannot be made"
    rm -rf "$lock" || die "$lock cannot be removed" # its maker died before it said who it was
    tries=0
  done
  echo $$ >"$lock/pid"
fi
state=.local/state/spoonbox
trap 'rm -rf "$state/in" "$lock"' EXIT; trap 'exit 143' HUP INT TERM
mkdir -p "$state" && rm -rf "$state/in" && mkdir "$state/in" || die "$state cannot be made in the home"

IFS=' ' read -r entries bytes revision || die 'nothing was sent'
list='' i=0
while [ "$i" -lt "$entries" ]; do
  IFS= read -r line || die 'the list broke off'
  list=$list$line$nl i=$((i+1))
done
head -c "$bytes" >"$state/in/contents" || die 'the contents cannot be kept in the home'
[ "$(($(wc -c <"$state/in/contents")))" -eq "$bytes" ] || die 'the contents broke off'

record=$state/vault applied=0
[ -f "$record" ] || printf 'spoonbox 1 0\n' >"$record" || die "$record cannot be written"
IFS=' ' read -r _ _ applied <"$record" || :
case $applied in ''|*[!0-9]*) applied=0;; esac
known=$nl$(cat "$record")$nl

knows() { case $known in *"$nl$1 /$path/$nl"*) return 0;; esac; return 1; }
wrote() { knows "had $is" || knows "try $is"; }

# What is there: '' nothing, no-file, unreadable, or its mode and hash.
look() {
  is=''
  if [ -f "./$path" ]; then
    is=unreadable
    mode_of=$(stat -L -c %a "./$path") && hash_of=$(sha256sum <"./$path") && is="$mode_of $(printf %.64s "$hash_of")"
  elif [ -e "./$path" ] || [ -L "./$path" ]; then is=no-file
  fi
}

save() {
  saved=./$path.spoonbox-saved n=1
  while [ -e "$saved" ] || [ -L "$saved" ]; do n=$((n+1)) saved=./$path.spoonbox-saved.$n; done
  if [ "$is" = no-file ]; then mv "./$path" "$saved"
  else cp -p "./$path" "$saved" || { rm -f "$saved"; return 1; }
  fi
}

# As few programs as can be: there may be many files.
put() {
  place=./$path
  [ -d "${'$'}{place%/*}" ] || mkdir -p "${'$'}{place%/*}" || return 1
  if [ -L "$place" ]; then place=$(readlink -f "$place") || return 1; fi
  new=${'$'}{place%/*}/.spoonbox-new
  [ ! -e "$new" ] || rm -f "$new"
  tail -c "+$begin" "$state/in/contents" | head -c "$size" >"$new" && chmod "$mode" "$new" && mv -f "$new" "$place" && return 0
  rm -f "$new"; return 1
}

tried() {
  knows "try $want" || printf 'try %s /%s/\n' "$want" "$path" >>"$record" || return 1
  if [ "$1" = save ] && [ -n "$is" ]; then save || return 1; fi
  put
}

now='' settled=$nl answered='' failures=0 next=1
written() { now="$now""had $want /$path/$nl""file - - /$path/$nl" settled=$settled/$path/$nl is_done=yes; }
failed() {
  failures=$((failures+1))
  printf 'failed\t%s\t%s\n' "$path" "$(printf %.200s "$why" | tr '\n\t' '  ')"
}
write() { if why=$(tried "$1" 2>&1); then written; else failed; fi; }
differs() { printf '%s\t%s\n' "$1" "$path"; }
while IFS=' ' read -r order since mode sum size rest; do
  [ -n "$order" ] || continue
  path=${'$'}{rest#/}; path=${'$'}{path%/} begin=$next want="$mode $sum" next=$((next+size))
  look 2>/dev/null
  is_done=no; knows "done $since -" && is_done=yes
  if [ "$order" = drop ]; then
    if [ "$since" -gt "$applied" ] && [ -n "$is" ] && wrote; then
      why=$(rm -f "./$path" 2>&1) || { failed; continue; }
    fi
    settled=$settled/$path/$nl
  elif [ "$is" = "$want" ]; then written
  elif [ "$order" = take ] && [ "$since" -gt "$applied" ] && [ "$is_done" = no ]; then write save
  elif [ -z "$is" ]; then
    if knows 'file - -'; then differs removed; else write plain; fi
  elif [ "$is" = no-file ]; then differs no-file
  elif wrote; then write plain
  elif knows 'file - -'; then differs edited
  else differs foreign
  fi
  [ "$order" = take ] && [ "$is_done" = yes ] && answered="$answered""done $since - /$path/$nl"
done <<END
$list
END

[ "$failures" -eq 0 ] && applied=$revision answered=''
{
  printf 'spoonbox 1 %s\n' "$applied"
  while IFS=' ' read -r kind mode sum rest; do
    case $kind in had|try|file) case $settled in *"$nl$rest$nl"*) ;; *) printf '%s %s %s %s\n' "$kind" "$mode" "$sum" "$rest";; esac;; esac
  done <"$record"
  printf %s "$now$answered"
} >"$state/in/record" && mv -f "$state/in/record" "$record" || die "$record cannot be written"
printf 'done\n'
`;
