/**
 * The cases that show the promises which only a store can keep, by title. Every case runs on memory and on files; these run
 * on each database too, unless the cases of `processes.ts` ask the same of it. How parallel changes are put together is the
 * core's work: the store only compares versions.
 */
export const headlines: readonly string[] = [
  // Nothing is lost.
  'what a request deleted stays deleted, what it did not touch stays, on two apps',
  // Logout is final.
  'logout is final against a slow toucher, on two apps',
  'logout is final against a slow regenerate, on two apps',
  'a logout racing changes, rotations and readers leaves nothing alive',
  'logout is final against a session copied by regenerate(), before that, on two apps',
  'a session gone meanwhile is never created again',
  // Login sticks.
  'a double-clicked login by regenerate() is a login, whichever answer arrives last, on two apps',
  'a double-clicked login by a change of subject is a login, whichever answer arrives last, on two apps',
  'login sticks against a writer that comes late under the old id, on two apps',
  'login sticks against a rotation that comes late under the old id, on two apps',
  'login sticks against a slow request of a persistent session that touched early, on two apps',
  'authentication wins where the session was revoked: what the request set is saved, nothing else, on two apps',
  'a tombstone carries no data and no subject and is never yielded by list',
  // Flash is delivered once.
  'a flash read by none waits',
  'flash queues concatenate: what parallel requests queued is all delivered, once, on two apps',
  // Nothing for strangers, and a stolen dump signs nobody in.
  'a made-up id is never adopted',
  'a store sees only the SHA-256 of an id and of a subject',
  // The sessions of a subject.
  'revokeAll ends every session of a subject but the excepted one, and tells how many',
  'list yields the live sessions of a subject as they are stored',
  'of many logins at once as many live as maxSessionsPerSubject allows, no fewer and no more, on two apps',
  // Expiry.
  'a session without a request ends after idleTimeout, under a new id, and its cookie is left alone',
  'touch() moves the times now and tells that the session lives',
  'a read-only request moves the times of a session and keeps it as it is',
]
