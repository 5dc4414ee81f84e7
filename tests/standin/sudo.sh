#!/bin/sh
# sudo as a Mac with a NOPASSWD rule for group admin has it, on top of Debian's setuid su.
# An option it does not know is refused, so that nothing is taken for granted that this does not do.

refuse() { echo "sudo: $1" >&2; exit 1; }

user=root group='' home=$HOME keep_all='' validate='' may_ask=yes
while [ $# -gt 0 ]; do
    case $1 in
        -H|--set-home) home='' ;;
        -n|--non-interactive) may_ask='' ;;
        -S|--stdin|-k|--reset-timestamp|-A|--askpass) ;;
        -E|--preserve-env) keep_all=yes ;;
        -u|--user) user=$2; shift ;;
        -g|--group) group=$2; shift ;;
        -p|--prompt) shift ;;
        -v|--validate) validate=yes ;;
        --) shift; break ;;
        -*) refuse "unsupported option $1" ;;
        *) break ;;
    esac
    shift
done

# This runs for nearly everything a deploy does, so it starts as few processes as it can.
while read -r name first rest; do
    case $name in
        Uid:) caller_uid=${first%%	*} ;;
        Gid:) caller_gid=${first%%	*} ;;
        Groups:) caller_groups=" $caller_gid $first $rest " ;;
    esac
done </proc/self/status
allowed=''
while IFS=: read -r name _ its_gid _; do
    case $name in admin | wheel) case $caller_groups in *" $its_gid "*) allowed=yes ;; esac ;; esac
done </etc/group
asks=''
[ ! -f /System/Standin/memory/sudo.json ] || while read -r line || [ -n "$line" ]; do
    case $line in *true*) asks=yes ;; esac
done </System/Standin/memory/sudo.json
if [ -z "$allowed" ] || [ -n "$asks" ]; then
    [ -z "$may_ask" ] ||
        echo 'sudo: a terminal is required to read the password; either use the -S option to read from standard' \
            'input or configure an askpass helper' >&2
    refuse 'a password is required'
fi
[ -z "$validate" ] || exit 0

uid='' gid='' target_home='' caller_name=''
while IFS=: read -r name _ its_uid its_gid _ its_home _; do
    [ "$name" != "$user" ] || uid=$its_uid gid=$its_gid target_home=$its_home
    [ "$its_uid" != "$caller_uid" ] || caller_name=${caller_name:-$name}
done </etc/passwd
[ -n "$uid" ] || refuse "unknown user $user"
[ -z "$group" ] || { gid=''; while IFS=: read -r name _ its_gid _; do
    [ "$name" != "$group" ] || { gid=$its_gid; break; }
done </etc/group; }
[ -n "$gid" ] || refuse "unknown group $group"

command=''
for word; do case $word in [A-Za-z_]*=*) ;; *) command=$word; break ;; esac; done
[ -n "$command" ] || refuse 'no command given'
case $command in */*) ;; *) command -v "$command" >/dev/null || refuse "$command: command not found" ;; esac

# Built from the inside out: the command with its VAR=value, as the user, in sudo's environment, through su to root.
case $1 in *=*) set -- /usr/bin/env "$@" ;; esac
[ "$uid:$gid" = 0:0 ] || set -- /usr/bin/setpriv --reuid "$uid" --regid "$gid" --init-groups "$@"
export HOME="${home:-$target_home}" USER="$user" LOGNAME="$user"
export SUDO_UID="$caller_uid" SUDO_GID="$caller_gid" SUDO_USER="$caller_name"
[ -n "$keep_all" ] || set -- /usr/bin/env -i "PATH=$PATH" "HOME=$HOME" "USER=$USER" "LOGNAME=$LOGNAME" \
    "SUDO_USER=$SUDO_USER" "SUDO_UID=$SUDO_UID" "SUDO_GID=$SUDO_GID" SHELL=/bin/sh ${MAIL+"MAIL=$MAIL"} \
    ${TERM+"TERM=$TERM"} ${TZ+"TZ=$TZ"} ${LANG+"LANG=$LANG"} ${LC_ALL+"LC_ALL=$LC_ALL"} ${LC_CTYPE+"LC_CTYPE=$LC_CTYPE"} "$@"
exec su -p -s /bin/sh --session-command='exec "$0" "$@"' -- root "$@"
