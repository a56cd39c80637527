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

# _ionctl_valued COMMAND: those of its options that the next word is a value of
_ionctl_valued() {
	ionctl "$1" --help 2> /dev/null |
		sed -nE 's/^ +(-.), (--[a-z]+)=.*/\1\n\2/p'
}

# _ionctl_words VALUED...: whether there are words after the command, but for
# options and their values
_ionctl_words() {
	local word before=ionctl
	for word in "${COMP_WORDS[@]:2:COMP_CWORD-2}"; do
		[ "$word" != = ] || continue
		[[ $word == -* || " $* " == *" $before "* ]] || return 0
		before=$word
	done
	return 1
}

_ionctl() {
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
	local command=${COMP_WORDS[1]} words='' valued=()

	COMPREPLY=()
	# "--heap=NAME" comes as three words.
	[ "$word" != = ] || word=
	[ "$before" != = ] || before=${COMP_WORDS[COMP_CWORD-2]}
	mapfile -t valued < <(_ionctl_valued "$command")
	case $command:$before in
	*:ionctl)
		words="$(ionctl --help 2> /dev/null |
			sed -n 's/^  \([a-z]*\) .*/\1/p')"
		words+=' --help --usage --version' ;;
	alloc:--heap | alloc:-H) words=$(_ionctl_heaps) ;;
	fill:--file | fill:-f)
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		return ;;
	alloc:--)
		mapfile -t COMPREPLY < <(compgen -c -- "$word")
		return ;;
	*)
		if [[ " ${valued[*]} " == *" $before "* ]]; then
			:
		elif [[ $word == -* ]]; then
			words=$(_ionctl_options "$command")
		elif [[ $command =~ ^(dump|fill|cmp|share)$ ]] &&
			! _ionctl_words "${valued[@]}"; then
			words=$(_ionctl_buffers)
		fi ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}

complete -F _ionctl ionctl
