// Put into every HTML page: reloads it, or swaps its style sheets, when the server says that files have changed.
(() => {
  const { up, since } = document.currentScript.dataset; // the way to the root; the last change before the page was read
  // From where the page is, whatever its <base> says.
  const at = path => new URL(up + path, location).href;
  const say = state => dispatchEvent(new CustomEvent('live-reload', { detail: state }));

  let source;
  (function connect() {
    source = new EventSource(at('.live_reload/events?lastEventId=' + encodeURIComponent(since)));
    source.onopen = () => say('live');
    source.onerror = () => {
      say('reconnecting');
      // The browser comes back by itself, unless it was answered something else than a stream, a proxy's 502 say.
      if (source.readyState === EventSource.CLOSED) setTimeout(connect, 3000);
    };
    // Another run of the server, or too many changes to know them all.
    source.addEventListener('reset', () => location.reload());
    source.addEventListener('change', event => change(JSON.parse(event.data)));
  })();

  function change(names) {
    const paths = names.map(path => at(path.split('/').map(encodeURIComponent).join('/')));
    const links = [...document.querySelectorAll('link[rel~=stylesheet]')];
    const isOf = path => link => link.href.split(/[?#]/)[0] === path;
    if (paths.every(path => path.endsWith('.css') && links.some(isOf(path)))) {
      for (const path of paths) links.filter(isOf(path)).forEach(swap);
    } else location.reload();
  }

  // A tab that is closed or left behind frees its connection: a browser has six for each server.
  addEventListener('pagehide', () => source.close());
  addEventListener('pageshow', event => event.persisted && location.reload());

  // The old one goes when the new one is there, so that the page is never without style.
  function swap(link) {
    const next = link.cloneNode();
    const url = new URL(link.href);
    url.searchParams.set('live_reload', Date.now());
    next.href = url;
    next.onload = next.onerror = () => link.remove();
    link.after(next);
  }
})();
