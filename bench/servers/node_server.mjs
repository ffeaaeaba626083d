// Node.js: `echo`, `http` (by hand, on node:net), `node_http` (its own server) or `udp`. Prints its port.
import dgram from 'node:dgram';
import http from 'node:http';
import net from 'node:net';

const page = 'HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!';

function echo(socket) {
  socket.setNoDelay(true);
  socket.on('error', () => socket.destroy());
  socket.on('data', (data) => { if (!socket.write(data)) socket.pause(); });
  socket.on('drain', () => socket.resume());
}

function answerPages(socket) {
  let unfinished = '';
  socket.setNoDelay(true);
  socket.on('error', () => socket.destroy());
  socket.on('data', (data) => {
    const heads = (unfinished + data.toString('latin1')).split('\r\n\r\n');
    unfinished = heads.pop();
    let answers = '';
    let goesOn = unfinished.length <= 4096;
    for (const head of heads) {
      if (!head.startsWith('GET ') || /\r\n(content-length|transfer-encoding):/i.test(head)) { goesOn = false; break; }
      answers += page;
      if (!head.split('\r\n', 1)[0].endsWith(' HTTP/1.1') || /\r\nconnection: close/i.test(head)) { goesOn = false; break; }
    }
    if (answers !== '') socket.write(answers, 'latin1');
    if (!goesOn) socket.end();
  });
}

const kind = process.argv[2];
if (kind === undefined) {
  console.log('version ' + process.versions.node);
} else if (kind === 'udp') {
  const socket = dgram.createSocket('udp4');
  socket.on('message', (message, from) => socket.send(message, from.port, from.address));
  socket.bind(0, '127.0.0.1', () => console.log(socket.address().port));
} else {
  const pages = (_, answer) => {
    answer.setHeader('Content-Type', 'text/plain');
    answer.setHeader('Content-Length', 13);
    answer.end('Hello, World!');
  };
  const server = kind === 'node_http' ? http.createServer({keepAlive: true}, pages)
      : net.createServer(kind === 'http' ? answerPages : echo);
  server.keepAliveTimeout = 60000;
  server.listen({port: 0, host: '127.0.0.1', backlog: 4096}, () => console.log(server.address().port));
}
