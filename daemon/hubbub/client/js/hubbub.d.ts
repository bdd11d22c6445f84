export type Payload = string | ArrayBuffer | ArrayBufferView | number | boolean | null | object;

/** What a client raises; `code` is that of the hub (bad-topic, not-authorized, no-responders, ...), or lost, busy, closed. */
export class HubError extends Error {
  readonly code: string;
  readonly reason: string;
}

/** A message, or the reply to a request. */
export class Message {
  readonly topic: string;
  /** When the hub got it; null: it is a reply. */
  readonly time: Date | null;
  /** It is the retained message of its topic, from before the subscription. */
  readonly retained: boolean;
  readonly qos: number;
  readonly contentType: string | null;
  readonly properties: Record<string, string>;
  readonly replyTo: string | null;
  readonly correlation: string | null;
  /** How many messages were lost before this one; 1 stands for any number that the hub's history no longer has. */
  readonly missed: number;
  readonly text: string;
  readonly bytes: Uint8Array;
  json(): any;
}

/** The messages of some filters, for `for await`. */
export interface Subscription extends AsyncIterableIterator<Message> {
  readonly filters: string[];
  /** Is fulfilled once the hub has taken all filters, rejected where it refuses one. */
  readonly ready: Promise<void>;
  close(): void;
}

export interface Options {
  user?: string;
  password?: string;
  token?: string;
  /** Messages of one subscription that the program hasn't taken yet, at most: 10,000. */
  queue?: number;
  /** The class to use where there is none globally, as in Node before 22: that of the package ws. */
  WebSocket?: unknown;
}

export interface PublishOptions {
  /** 1 unless it says otherwise: it is sent again when the connection was lost, and published once. */
  qos?: 0 | 1 | 2;
  retain?: boolean;
  contentType?: string;
  replyTo?: string;
  properties?: Record<string, string>;
  /** Seconds. */
  messageExpiry?: number;
}

/** What of the hub's history a subscription begins with: one of these. */
export interface SubscribeOptions {
  /** The messages that are at most so many seconds old. */
  since?: number;
  /** The newest so many of each topic. */
  last?: number;
}

/** A client that stays connected to one hub: ws:// or wss://, or http:// or https:// for HTTP alone. */
export class Client {
  /** Is fulfilled with the first answer of the hub, rejected where it refuses the login. */
  readonly ready: Promise<void>;
  constructor(url: string, options?: Options);
  /** Return how many receivers there are. */
  publish(topic: string, payload: Payload, options?: PublishOptions): Promise<number>;
  /** `timeout` is in seconds: 2. */
  request(topic: string, payload?: Payload, options?: { timeout?: number }): Promise<Message>;
  reply(message: Message, payload: Payload): Promise<void>;
  subscribe(...filters: string[]): Subscription;
  /** Throws TypeError if it shares topics with another subscription of this client. */
  subscribe(...filters: [...string[], SubscribeOptions]): Subscription;
  close(): void;
}

/** Tell whether a filter matches a topic (MQTT 5.0 section 4.7). */
export function matches(filter: string, topic: string): boolean;
