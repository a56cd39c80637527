# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# Completion of ionctl for bash: what it knows, it asks ionctl.

# Those that others hold, as paths: a colon would be the end of a word.
_ionctl_buffers() {
	local buffer path
	for buffer in $(ionctl ls 2> /dev/null | grep -oE '[0-9]+:[0-9]+'); do
		path=/proc/${buffer%:*}/fd/${buffer#*:}
		[ ! -L "$path" ] || echo "$path"
	done
}

_ionctl_heaps() { ionctl heaps 2> /dev/null | awk 'NR > 1 { print $1 }'; }

_ionctl_options() {
	ionctl "$1" --help 2> /dev/null | grep -oE '^ +(-., +)?--[a-z]+' |
		grep -oE -- '--[a-z]+'
}

# _ionctl_words COMMAND: whether there are words after that, without options
_ionctl_words() {
	local word n=0
	for word in "${COMP_WORDS[@]:2:COMP_CWORD-2}"; do
		[[ $word == -* ]] || n=$((n + 1))
	done
	[ $n -gt 0 ]
}

_ionctl() {
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
	local command=${COMP_WORDS[1]} words=

	COMPREPLY=()
	# "--heap=NAME" comes as three words.
	[ "$word" != = ] || word=
	[ "$before" != = ] || before=${COMP_WORDS[COMP_CWORD-2]}
	case $command:$before in
	*:ionctl)
		words="$(ionctl --help 2> /dev/null |
			sed -n 's/^  \([a-z]*\) .*/\1/p') --help --version" ;;
	alloc:--heap | alloc:-H) words=$(_ionctl_heaps) ;;
	fill:--file | fill:-f)
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		return ;;
	alloc:--)
		mapfile -t COMPREPLY < <(compgen -c -- "$word")
		return ;;
	*:--offset | *:--length | *:--name | *:--count) ;;
	*)
		case $command:$word in
		*:-*) words=$(_ionctl_options "$command") ;;
		dump:* | fill:* | cmp:* | share:*)
			_ionctl_words || words=$(_ionctl_buffers) ;;
		esac ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}

complete -F _ionctl ionctl
