# Defaults of every interactive shell in a box. The home starts empty, so they live here; what ~/.bash_profile and ~/.bashrc say
# comes after and wins. Login shells read it, and so do the others, by way of Fedora's /etc/bashrc.
[ -n "${BASH_VERSION-}" ] && [ -n "${PS1-}" ] || return 0
[ -z "${__spoonbox_shell-}" ] || return 0
__spoonbox_shell=1

shopt -s checkwinsize histappend globstar autocd cmdhist

# Written after every command: a box may be reaped with the shell still open.
HISTSIZE=50000
HISTFILESIZE=100000
HISTCONTROL=ignoreboth:erasedups
PROMPT_COMMAND="history -a${PROMPT_COMMAND:+;$PROMPT_COMMAND}"

export LESS='-FRX' PAGER=less
alias ls='eza' ll='eza -l' la='eza -la' ..='cd ..'

[ -r /usr/share/spoonbox/fzf.bash ] && . /usr/share/spoonbox/fzf.bash
[ -r /usr/share/spoonbox/zoxide.bash ] && . /usr/share/spoonbox/zoxide.bash
# Its own theme unless the user brings one: POSH_THEME in ~/.bash_profile, or `eval "$(oh-my-posh init bash …)"` in ~/.bashrc.
case "${TERM-}" in
  '' | dumb) ;;
  *) eval "$(oh-my-posh init bash ${POSH_THEME:+--config "$POSH_THEME"})" ;;
esac
