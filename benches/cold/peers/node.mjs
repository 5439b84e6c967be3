// A token function without authentication, with the AWS SDK and LiveKit's SDK for Node.

import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { AccessToken } from 'livekit-server-sdk';
import { serve } from './runtime.mjs';

const { SecretString } = await new SecretsManagerClient({}).send(new GetSecretValueCommand({ SecretId: process.env.ROOMPASS_SECRET_ID }));
const keys = JSON.parse(SecretString);

await serve(async (event) => {
  const { room_name: room, participant_identity: identity, participant_name: name } = JSON.parse(event.body);
  const token = new AccessToken(keys.LIVEKIT_API_KEY, keys.LIVEKIT_API_SECRET, { identity, name, ttl: '10m' });
  token.addGrant({ roomJoin: true, room });
  return {
    statusCode: 201,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ server_url: keys.LIVEKIT_URL, participant_token: await token.toJwt() }),
  };
});
