/** Filters of topics (MQTT 5.0 section 4.7). */

/**
 * Tell whether a filter matches a topic.
 * @param {string} filter
 * @param {string} topic
 */
export function matches(filter, topic) {
  if (filter === topic) return true;
  if (topic.startsWith("$") && /^[+#]/.test(filter)) return false;
  const wanted = filter.split("/");
  const levels = topic.split("/");
  for (let at = 0; at < wanted.length; at += 1) {
    if (wanted[at] === "#") return levels.length >= at;
    if (at >= levels.length || (wanted[at] !== "+" && wanted[at] !== levels[at])) return false;
  }
  return wanted.length === levels.length;
}
