/**
 * The counterparts of other stores' options, for `OptionCheck.names`. `own` says how to hand in a connection with settings of
 * one's own, such as `client: new Redis({ … })`. `place` is the option that says where the sessions are, such as `path`.
 */
export function storeHints(own: string, place = 'url'): Readonly<Record<string, string>> {
  const within = place === 'url' ? `it belongs in url, or use ${own}` : `use ${own}`
  const idle = 'set idleTimeout and maxAge of session()'
  const swept = 'expired sessions are removed every sweepInterval of session()'
  const encrypted = 'use encryptionKeys of session()'
  const codec = 'use codec of session(): { stringify, parse }'
  const touched = 'use touchInterval of session()'
  const hints: Record<string, string> = {
    connection: place,
    connectionstring: place,
    constring: place,
    uri: place,
    url: place,
  }
  const others: Record<string, string> = {
    [within]: 'host hostname port user username password pass auth db database ssl tls socket socketpath path options',
    [encrypted]: 'secret crypto',
    [idle]: 'ttl maxage expiration expires expiry lifetime idletimeout absolutetimeout',
    [swept]:
      'autoremove autoremoveinterval clearexpired checkexpirationinterval clearinterval prunesessioninterval reapinterval sweepinterval',
    [touched]: 'touchafter touchinterval disabletouch',
    [codec]: 'serializer serialize unserialize stringify parse transformfunctions codec encoder decoder',
  }
  for (const [hint, names] of Object.entries(others)) for (const name of names.split(' ')) hints[name] = hint
  return hints
}
