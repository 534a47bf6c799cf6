# Defaults of every interactive shell in a box. The home starts empty, so they live here; ~/.bashrc comes after and wins.
[ -n "${PS1-}" ] || return

shopt -s checkwinsize histappend globstar autocd cmdhist

# Written after every command: a box may be reaped with the shell still open.
HISTSIZE=50000
HISTFILESIZE=100000
HISTCONTROL=ignoreboth:erasedups
HISTTIMEFORMAT='%F %T  '
__spoonbox_prompt() {
  local status=$?
  history -a
  __spoonbox_status=
  [ "$status" -eq 0 ] || __spoonbox_status="$status "
}
case "${TERM-}" in
  '' | dumb) PS1='${__spoonbox_status}\u@\h:\w\$ ' ;;
  *) PS1='\[\e[31m\]${__spoonbox_status}\[\e[32m\]\u@\h\[\e[0m\]:\[\e[34m\]\w\[\e[0m\]\$ ' ;;
esac

export LESS='-FRX' PAGER=less
alias ls='ls --color=auto' ll='ls -lh' la='ls -lAh' grep='grep --color=auto' diff='diff --color=auto' ..='cd ..'

[ -r /usr/share/bash-completion/bash_completion ] && . /usr/share/bash-completion/bash_completion
# Ctrl-R searches the history, Ctrl-T files, Alt-C directories; `z` jumps to a directory used before.
export FZF_DEFAULT_COMMAND='rg --files --hidden --glob !.git' FZF_CTRL_T_COMMAND='rg --files --hidden --glob !.git'
[ -r /usr/share/spoonbox/fzf.bash ] && . /usr/share/spoonbox/fzf.bash
[ -r /usr/share/spoonbox/zoxide.bash ] && . /usr/share/spoonbox/zoxide.bash
# First, because zoxide's hook ends with a status of its own.
PROMPT_COMMAND="__spoonbox_prompt${PROMPT_COMMAND:+;$PROMPT_COMMAND}"

# Said once in the life of a box: the mark is outside the home and goes with the box.
if [ -t 1 ] && ( set -o noclobber; : > /tmp/.spoonbox-greeted ) 2> /dev/null; then
  printf 'This box is yours. Only your home (%s) is kept; everything else goes when the box does.\n' "$HOME"
fi
