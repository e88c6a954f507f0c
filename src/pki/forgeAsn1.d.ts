// The part of node-forge that this project uses, without the rest of it (keys, signatures, chain verification), which it must never use.
declare module 'node-forge/lib/asn1.js' {
  /** `value` is a binary string (one character for each octet), or the values inside of a constructed one. */
  export interface Asn1 {
    readonly tagClass: number;
    readonly type: number;
    readonly constructed: boolean;
    readonly value: string | Asn1[];
  }

  interface ByteBuffer {
    getBytes(): string;
  }

  const asn1: {
    create(tagClass: number, type: number, constructed: boolean, value: string | Asn1[]): Asn1;
    /** `decodeBitStrings` would decode the content of bit strings on suspicion. */
    fromDer(bytes: string, options: { strict: boolean; decodeBitStrings: boolean; maxDepth: number }): Asn1;
    toDer(value: Asn1): ByteBuffer;
    oidToDer(dotted: string): ByteBuffer;
    derToOid(content: string): string;
    integerToDer(value: number): ByteBuffer;
  };
  export default asn1;
}
