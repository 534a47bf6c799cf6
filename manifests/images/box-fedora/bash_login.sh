# A login shell of bash reads ~/.bash_profile, ~/.bash_login or ~/.profile, which then read ~/.bashrc where people have it so. The home
# starts empty: as long as none of these is in it, ~/.bashrc is read from here.
if [ -n "${BASH_VERSION-}" ] && [ -n "${PS1-}" ] && shopt -q login_shell && [ -r ~/.bashrc ] &&
  [ ! -r ~/.bash_profile ] && [ ! -r ~/.bash_login ] && [ ! -r ~/.profile ]; then
  . ~/.bashrc
fi
