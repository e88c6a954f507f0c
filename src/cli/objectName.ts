/** Whether it may be the name of an object of Kubernetes: a DNS subdomain (RFC 1123). */
export function isObjectName(text: string): boolean {
  return text.length <= 253 && /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(text);
}
