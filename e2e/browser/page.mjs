// An application's page with LiveKit's client. The test calls these functions.

import { useToken } from '@livekit/components-react';
import { Room, RoomEvent, TokenSource, Track } from 'livekit-client';
import { createElement } from 'react';
import { createRoot } from 'react-dom/client';

const room = new Room();
const received = document.createElement('video');
Object.assign(received, { autoplay: true, muted: true });
document.body.append(received);
room.on(RoomEvent.TrackSubscribed, (track) => {
  if (track.kind === Track.Kind.Video) track.attach(received);
});

globalThis.call = {
  /** Gets a token from the endpoint and joins with it. */
  async join(endpoint, options) {
    const { serverUrl, participantToken } = await TokenSource.endpoint(endpoint).fetch(options);
    await room.connect(serverUrl, participantToken);
    return room.name;
  },
  /** Gets a token with the hook of LiveKit's React components and joins with it. */
  async joinByHook(endpoint, serverUrl, roomName, userInfo) {
    const root = createRoot(document.body.appendChild(document.createElement('div')));
    const token = await new Promise((resolve) => {
      const Component = () => {
        const token = useToken(endpoint, roomName, { userInfo });
        if (token) resolve(token);
        return null;
      };
      root.render(createElement(Component));
    });
    root.unmount();
    await room.connect(serverUrl, token);
    return room.name;
  },
  publishCamera: async () => Boolean(await room.localParticipant.setCameraEnabled(true)),
  /** A participant as the others see them, or `undefined` if they haven't joined. */
  seen(identity) {
    const participant = room.remoteParticipants.get(identity);
    return participant && { name: participant.name, metadata: participant.metadata, attributes: participant.attributes };
  },
  /** The width and the position of the received video. */
  video: () => ({ width: received.videoWidth, time: received.currentTime }),
};

globalThis.ask = {
  /** Sends a request from a script, and returns the parts of the response that the script can read. */
  async json(endpoint, body) {
    return readable(await fetch(endpoint, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body }));
  },
  /** The same without a Content-Type, so the browser sends no preflight. */
  async untyped(endpoint, body) {
    return readable(await fetch(endpoint, { method: 'POST', body: new Blob([body]) }));
  },
};

async function readable(response) {
  return { status: response.status, headers: Object.fromEntries(response.headers), body: await response.json() };
}
