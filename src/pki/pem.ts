// PEM (RFC 7468). Reading tolerates what real files have (text between blocks, CRLF, trailing spaces) and nothing more.

import { PkiError, quote } from './errors.ts';

export interface PemBlock {
  /** What stands after BEGIN, such as CERTIFICATE. */
  readonly label: string;
  readonly der: Buffer;
}

const BEGIN = '-----BEGIN ';

/** PEM of `der`: lines of 64 characters, each ended by LF. */
export function encodePem(label: string, der: Buffer): string {
  const base64 = der.toString('base64');
  let lines = '';
  for (let at = 0; at < base64.length; at += 64) lines += `${base64.slice(at, at + 64)}\n`;
  return `-----BEGIN ${label}-----\n${lines}-----END ${label}-----\n`;
}

/**
 * The blocks of a PEM text from outside, in order; text outside of blocks is skipped, as every PEM reader does.
 * @param what names the input in errors, such as 'the certificate chain'
 * @throws PkiError InvalidPem, EncryptedPrivateKey or TooLarge; messages never quote what is inside a block
 */
export function decodePem(text: string, what: string, maxCharacters: number): PemBlock[] {
  if (text.length > maxCharacters) {
    throw new PkiError('TooLarge', `${what} has ${text.length} characters, at most ${maxCharacters} are read`);
  }
  const blocks: PemBlock[] = [];
  let at = nextBegin(text, 0);
  while (at >= 0) {
    const where = `block ${blocks.length + 1} of ${what}`;
    const labelEnd = text.indexOf('-----', at + BEGIN.length);
    const label = labelEnd < 0 ? '' : text.slice(at + BEGIN.length, labelEnd);
    if (!/^[A-Z0-9][A-Z0-9 ]{0,40}$/.test(label)) throw new PkiError('InvalidPem', `${where} has no proper BEGIN line`);
    const end = `-----END ${label}-----`;
    const endAt = text.indexOf(end, labelEnd);
    if (endAt < 0) throw new PkiError('InvalidPem', `${where} (${quote(label)}) has no END line`);
    blocks.push({ label, der: decodeBody(text.slice(labelEnd + 5, endAt), where, label) });
    at = nextBegin(text, endAt + end.length);
  }
  return blocks;
}

/** The next BEGIN at the start of a line (one within a line is prose). */
function nextBegin(text: string, from: number): number {
  let at = text.indexOf(BEGIN, from);
  while (at > 0 && text[at - 1] !== '\n' && text[at - 1] !== '\r') at = text.indexOf(BEGIN, at + 1);
  return at;
}

function decodeBody(body: string, where: string, label: string): Buffer {
  if (label === 'ENCRYPTED PRIVATE KEY' || body.includes('Proc-Type:')) {
    throw new PkiError('EncryptedPrivateKey', `${where} is an encrypted private key`);
  }
  const base64 = body.replace(/[ \t\r\n]+/g, '');
  // Buffer.from skips what is not base64 without a word; a certificate that was damaged by an editor must not pass as another one.
  if (base64 === '' || base64.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) {
    throw new PkiError('InvalidPem', `${where} (${quote(label)}) is not base64`);
  }
  return Buffer.from(base64, 'base64');
}
