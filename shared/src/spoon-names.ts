/**
 * What Spoon's own worker called things: the one place where they are mapped to ours. Its document names the variables, and
 * neither the path of its WebSocket nor the claims of its tokens.
 *
 * TO BE CONFIRMED WITH SPOON: every line here. A name that turns out to be another one is changed here and nowhere else.
 */
export const spoonNames = {
  /** where its pages open a terminal, below the public WebSocket URL */
  terminalPaths: ['/', '/terminal', '/ws', '/terminal/ws'],
  /** in the URL; ours is the first */
  tokenParameters: ['token', 'access_token'],
  /** claims of its terminal tokens: the first that is there counts */
  claims: {
    user: ['user', 'username', 'sub'],
    /** relative to the home, as ours */
    directory: ['directory', 'cwd'],
  },
  /** its tokens have none of these, or one of them; ours name themselves */
  issuers: ['spoon', 'spoon-next'],
  audiences: ['spoon-agent-worker', 'spoon-terminal'],
} as const;
