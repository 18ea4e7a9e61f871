/** The error owed to a peer: RFC 4271 section 4.5 and 6. */

/**
 * A NOTIFICATION that ends the session. Codes and subcodes: IANA "BGP Error (Notification) Codes".
 * It is a value more often than it is thrown: parsers return it.
 */
export class NotificationError extends Error {
  override readonly name = 'NotificationError';
  constructor(
    readonly code: number,
    readonly subcode: number,
    message: string,
    /** The Data field the RFC asks for with this error. */
    readonly data: Uint8Array = new Uint8Array(),
  ) {
    super(message);
  }
}
