import type { Command, Option } from 'commander';

/**
 * A script for bash that completes commands, options and choices, made from the commands
 * themselves. zsh runs it as well, once it has loaded its bashcompinit.
 */
export function bashCompletion(program: Command): string {
  const commands = nested(program);
  const paths = commands.map(({ path }) => path).filter((path) => path !== '');
  const options = commands.flatMap(({ path, command }) => command.options.map((option) => ({ path, option })));
  const choices = options.filter(({ option }) => option.argChoices !== undefined);
  const values = options.filter(({ option }) => takesValue(option)).map(({ option }) => option.long!);
  const reply = (words: readonly string[]) => `COMPREPLY=( $(compgen -W "${words.join(' ')}" -- "$current") )`;
  return `_ledger() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" path="" i
  COMPREPLY=()
  for (( i = 1; i < COMP_CWORD; i++ )); do
    case "$path\${path:+ }\${COMP_WORDS[i]}" in
      ${paths.map((path) => `"${path}"`).join('|')}) path="$path\${path:+ }\${COMP_WORDS[i]}" ;;
    esac
  done
  case "$path $previous" in
${choices.map(({ path, option }) => `    "${path} ${option.long}") ${reply(option.argChoices!)}; return ;;`).join('\n')}
  esac
  # What an option's value may be is not known: the shell offers files.
  case "$previous" in
    ${[...new Set(values)].join('|')}) return ;;
  esac
  case "$path" in
${commands.map(({ path, command }) => `    "${path}") ${reply(wordsOf(command))} ;;`).join('\n')}
  esac
}
complete -o default -F _ledger ledger
`;
}

export function zshCompletion(program: Command): string {
  return `autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n${bashCompletion(program)}`;
}

/** The program and all commands below it, by the words that lead to them. */
function nested(command: Command, path = ''): { path: string; command: Command }[] {
  const below = command.commands.flatMap((each) => nested(each, path === '' ? each.name() : `${path} ${each.name()}`));
  return [{ path, command }, ...below];
}

/** What may follow: the commands below it, the choices of its arguments and its options. */
function wordsOf(command: Command): string[] {
  const { commands, registeredArguments, options } = command;
  return [
    ...commands.map((each) => each.name()),
    ...registeredArguments.flatMap(({ argChoices = [] }) => argChoices),
    ...options.map(({ long }) => long!),
    '--help',
  ];
}

function takesValue(option: Option): boolean {
  return option.required || option.optional;
}
