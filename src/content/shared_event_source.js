// SharedEventSource: an EventSource of which all tabs of a browser have one connection together.
//
//   <script src="shared.js"></script>
//   <script>
//     const source = new SharedEventSource('events');
//     source.onmessage = event => console.log(event.lastEventId, event.data);
//   </script>
//
// The file is the page's part and the worker's: a SharedWorker that runs it has the connections, and pages join them.
// Where there is no such worker, a page runs both parts. What differs from an EventSource:
//
// - It leaves when its page is left, and comes back where it was when that page is gone back to.
// - Only 204 closes it for good. After any other answer that is no stream, such as a proxy's 502, it tries again.
// - Where nothing came for a minute, not even a keep-alive, it connects anew, and after the computer was offline: the
//   connection may be dead without a word.
// - Where events have ids, a page that comes later gets what a connection of its own would give it: it has one for a
//   moment, until that is where the others are. Where they have none, it gets what comes from then on.
(() => {
  'use strict';

  const PROTOCOL = 'SharedEventSource 1'; // between page and worker: a worker of another one is another worker
  const PING = 10_000; // ms between two questions whether the other side is still there …
  const UNHEARD = 3; // … of which so many may stay without an answer
  const RETRY = 3000; // ms until it connects again, unless the server says otherwise
  const LAST_RETRY = 30_000; // ms, to which that grows while what answers is no stream
  const SILENCE = 60_000; // ms without a byte: a server that is there has sent four keep-alives
  const CONNECTING = 0, OPEN = 1, CLOSED = 2;

  // The worker's part

  const streams = new Set();

  // One connection, and the members that share it.
  class Stream {
    members = new Set();
    #since; // the id that its first request began after; empty for the beginning
    #id; // the last id that it was sent, as EventSource would send it back
    #hasBegun = false; // it has sent members an event
    #state = null; // the last message that said how it is
    #retry = RETRY;
    #attempt; // aborts what it does, or waits for
    #heard; // when something came

    constructor({ url, withCredentials, lastEventId }) {
      Object.assign(this, { url, withCredentials });
      this.#since = this.#id = lastEventId;
      streams.add(this);
      this.#run();
    }

    // Whether what follows here is just what a connection would begin with that asks for what follows this id.
    #isAt({ url, withCredentials, lastEventId }) {
      return url === this.url && withCredentials === this.withCredentials
        && lastEventId === (this.#hasBegun ? this.#id : this.#since);
    }

    static of(wanted) {
      return [...streams].find(stream => stream.#isAt(wanted)) ?? new Stream(wanted);
    }

    add(member) {
      this.members.add(member);
      member.stream = this;
      member.tell({ lastEventId: this.#id });
      if (this.#state) member.tell(this.#state);
    }

    remove(member) {
      this.members.delete(member);
      if (!this.members.size) this.#close();
    }

    #close() {
      streams.delete(this);
      this.#attempt.abort();
    }

    // For a connection that may be dead: that on which nothing came since then.
    connectAnew(since) {
      if (this.#state?.readyState === OPEN && this.#heard <= since) this.#attempt.abort();
    }

    #tell(message) {
      for (const member of this.members) member.tell(message);
    }

    #tellState(type, readyState) {
      this.#state = { type, readyState };
      this.#tell(this.#state);
    }

    async #run() {
      for (let refusals = 0; streams.has(this);) {
        this.#attempt = new AbortController();
        const { signal } = this.#attempt;
        try {
          const answer = await this.#ask(signal);
          if (answer.status === 204) {
            this.#close();
            return this.#tellState('error', CLOSED);
          }
          const isStream = answer.status === 200 && /^text\/event-stream\s*(;|$)/i.test(answer.headers.get('Content-Type'));
          refusals = isStream ? 0 : refusals + 1;
          if (isStream) {
            this.#tellState('open', OPEN);
            await this.#read(answer);
          } else await answer.body?.cancel();
        } catch {} // there is no server, or the connection broke
        if (!streams.has(this)) return;
        this.#tellState('error', CONNECTING);
        // Browsers that are refused together do not come back together.
        const pause = refusals && Math.min(this.#retry * 2 ** refusals, LAST_RETRY) * (.5 + Math.random() / 2);
        signal.aborted || await new Promise(resolve => {
          setTimeout(resolve, Math.max(pause, this.#retry));
          signal.onabort = resolve;
        });
      }
    }

    // The id goes by the query: a field of fetch takes no text but ASCII, and asks other origins first.
    #ask(signal) {
      const url = new URL(this.url);
      if (this.#id) url.searchParams.set('lastEventId', this.#id);
      const credentials = this.withCredentials ? 'include' : 'same-origin';
      return fetch(url, { headers: { Accept: 'text/event-stream' }, cache: 'no-store', credentials, signal });
    }

    // Reads the stream in pieces of any size (HTML §9.2.6).
    async #read(answer) {
      const { origin } = new URL(answer.url);
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = '', endsWithCr = false; // of the piece before
      let type = '', data = '', id = this.#id;
      for (;;) {
        this.#heard = Date.now();
        const { done, value } = await reader.read();
        if (done) return;
        const lines = (endsWithCr && value[0] === '\n' ? value.slice(1) : value).split(/\r\n|\r|\n/);
        endsWithCr = value.endsWith('\r');
        lines[0] = rest + lines[0];
        rest = lines.pop();
        for (const line of lines) {
          const [, name, text] = /^([^:]*):? ?(.*)$/s.exec(line);
          if (line === '') {
            const isElsewhere = id !== this.#id;
            this.#id = id;
            if (data) this.#hasBegun = true;
            if (data) this.#tell({ type: type || 'message', data: data.slice(0, -1), lastEventId: id, origin });
            else if (isElsewhere) this.#tell({ lastEventId: id });
            type = data = '';
          } else if (name === 'event') type = text;
          else if (name === 'data') data += text + '\n';
          else if (name === 'id' && !text.includes('\0')) id = text;
          else if (name === 'retry' && /^\d+$/.test(text)) this.#retry = Number(text);
        }
        this.#merge();
      }
    }

    // Takes over the members of each stream that has come to the same id: what follows is the same in both.
    #merge() {
      for (const other of streams) {
        if (other === this || !other.#isAtSame(this)) continue;
        other.#close();
        for (const member of other.members) {
          this.members.add(member);
          member.stream = this;
          if (other.#state?.readyState !== OPEN) member.tell(this.#state);
        }
      }
    }

    #isAtSame(other) {
      return this.#id === other.#id && this.url === other.url && this.withCredentials === other.withCredentials;
    }
  }

  setInterval(() => streams.forEach(stream => stream.connectAnew(Date.now() - SILENCE)), PING);

  // What a page has of a stream: a port, by which it says that it joins, leaves, or is still there.
  class Member {
    stream = null;
    #port;
    #unheard = 0;
    #timer = setInterval(() => this.#ping(), PING);

    constructor(port) {
      this.#port = port;
      port.onmessage = ({ data: message }) => {
        this.#unheard = 0;
        if (message === 'leave') this.#leave();
        else if (typeof message === 'number') this.stream?.connectAnew(message);
        else if (message !== 'here') Stream.of(message).add(this);
        else if (!this.stream) this.tell('gone'); // a tab that was frozen: it comes back, with what it has
      };
      port.onclose = () => this.#leave(); // not in all browsers: it tells of tabs that have crashed
    }

    tell(message) {
      this.#port.postMessage(message);
    }

    #ping() {
      if (this.#unheard++ < UNHEARD) this.tell('ping');
      else this.#leave();
    }

    #leave() {
      clearInterval(this.#timer);
      this.stream?.remove(this);
      this.stream = null;
    }
  }

  if (typeof SharedWorkerGlobalScope !== 'undefined') {
    self.onconnect = ({ ports: [port] }) => new Member(port);
    return;
  }

  // The page's part

  const script = document.currentScript?.src;
  let isAlone = !script || typeof SharedWorker === 'undefined';

  class SharedEventSource extends EventTarget {
    static CONNECTING = CONNECTING;
    static OPEN = OPEN;
    static CLOSED = CLOSED;
    CONNECTING = CONNECTING;
    OPEN = OPEN;
    CLOSED = CLOSED;
    onopen = null;
    onmessage = null;
    onerror = null;
    readyState = CONNECTING;

    #lastEventId = '';
    #worker = null;
    #port = null;
    #isHeard = false; // this worker has said something
    #unheard = 0;
    #timer;

    constructor(url, { withCredentials = false } = {}) {
      super();
      this.url = new URL(url, document.baseURI).href;
      this.withCredentials = withCredentials;
      for (const type of ['open', 'message', 'error']) {
        this.addEventListener(type, event => this[`on${type}`]?.(event));
      }
      addEventListener('pagehide', this.#leave);
      addEventListener('pageshow', this.#join);
      addEventListener('online', this.#tellOnline);
      this.#join();
    }

    close() {
      removeEventListener('pagehide', this.#leave);
      removeEventListener('pageshow', this.#join);
      removeEventListener('online', this.#tellOnline);
      this.#leave();
      this.readyState = CLOSED;
    }

    #join = () => {
      if (this.#port) return; // a page that is shown for the first time
      this.#connect();
      this.#isHeard = false;
      this.#unheard = 0;
      this.#timer = setInterval(() => this.#unheard++ < UNHEARD || this.#lose(), PING);
      this.#port.onmessage = ({ data: message }) => this.#take(message);
      this.#port.onclose = this.#lose;
      const { url, withCredentials } = this;
      this.#port.postMessage({ url, withCredentials, lastEventId: this.#lastEventId });
    };

    #leave = () => {
      if (!this.#port) return;
      clearInterval(this.#timer);
      this.#port.onmessage = this.#port.onclose = null;
      this.#port.postMessage('leave');
      this.#port.close();
      this.#port = this.#worker = null;
      this.readyState = CONNECTING;
    };

    // Since when the computer is online again: not all browsers tell the worker. Each tab says so, some of them late.
    #tellOnline = () => this.#port?.postMessage(Date.now());

    // The worker has crashed; or there never was one, since the page's policy forbids it or the script cannot be had.
    #lose = () => {
      isAlone ||= !this.#isHeard;
      this.#rejoin();
    };

    #rejoin() {
      this.#leave();
      this.#join();
    }

    #connect() {
      if (!isAlone) {
        try {
          this.#worker = new SharedWorker(script, PROTOCOL);
          this.#port = this.#worker.port;
          this.#worker.onerror = this.#lose;
          return;
        } catch {
          isAlone = true; // the script is another origin's
        }
      }
      const { port1, port2 } = new MessageChannel();
      new Member(port1);
      this.#port = port2;
    }

    #take(message) {
      this.#isHeard = true;
      this.#unheard = 0;
      if (message === 'ping') return this.#port.postMessage('here');
      if (message === 'gone') return this.#rejoin();
      const { type, readyState, ...init } = message;
      this.#lastEventId = init.lastEventId ?? this.#lastEventId;
      if (readyState !== undefined) {
        this.readyState = readyState;
        if (readyState === CLOSED) this.close();
        this.dispatchEvent(new Event(type));
      } else if (type) this.dispatchEvent(new MessageEvent(type, init));
    }
  }

  self.SharedEventSource = SharedEventSource;
})();
