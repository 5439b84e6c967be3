// Synthesizes the stack: ROOMPASS_ZIP=roompass-lambda-arm64.zip ROOMPASS_SECRET_ID=THE_ARN npx aws-cdk deploy --app 'node app.mjs'

import { App, Stack } from 'aws-cdk-lib';
import { Roompass } from './roompass.mjs';

const { ROOMPASS_ZIP: zip, ROOMPASS_SECRET_ID: secretArn, ROOMPASS_CORS_ORIGINS = '' } = process.env;
if (!zip || !secretArn) throw new Error('ROOMPASS_ZIP must be the path of the zip, and ROOMPASS_SECRET_ID the ARN of the secret');

const app = new App();
const stack = new Stack(app, 'Roompass');
new Roompass(stack, 'Roompass', { zip, secretArn, origins: ROOMPASS_CORS_ORIGINS.split(',').filter(Boolean) });
app.synth();
