// Roompass as a construct of the AWS CDK: the function from its zip, an alias with gradual deployments, and an HTTP API.

import { CfnOutput, Duration } from 'aws-cdk-lib';
import { CorsHttpMethod, HttpApi } from 'aws-cdk-lib/aws-apigatewayv2';
import { HttpLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import { LambdaDeploymentConfig, LambdaDeploymentGroup } from 'aws-cdk-lib/aws-codedeploy';
import { Alarm, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import { Alias, Architecture, Code, Function, LoggingFormat, Runtime } from 'aws-cdk-lib/aws-lambda';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Secret } from 'aws-cdk-lib/aws-secretsmanager';
import { Construct } from 'constructs';

/**
 * `zip` is the path of the function's zip. `secretArn` is the complete ARN of the secret with the keys, as docs/deploy.md
 * describes it. `origins` are the allowed CORS origins.
 */
export class Roompass extends Construct {
  constructor(scope, id, { zip, secretArn, origins = [], architecture = Architecture.ARM_64 }) {
    super(scope, id);

    const tokenFunction = new Function(this, 'TokenFunction', {
      description: 'Issues LiveKit and Agora access tokens',
      code: Code.fromAsset(zip),
      handler: 'bootstrap',
      runtime: Runtime.PROVIDED_AL2023,
      architecture,
      memorySize: 256,
      timeout: Duration.seconds(10),
      loggingFormat: LoggingFormat.JSON,
      logGroup: new LogGroup(this, 'FunctionLogs', { retention: RetentionDays.ONE_MONTH }),
      environment: {
        ROOMPASS_SECRET_ID: secretArn,
        ROOMPASS_CORS_ORIGINS: origins.join(','),
        SSL_CERT_FILE: '/etc/pki/tls/certs/ca-bundle.crt',
      },
    });
    // If the secret has its own KMS key, pass it as `encryptionKey`: the grant then covers decryption through the store.
    Secret.fromSecretCompleteArn(this, 'Keys', secretArn).grantRead(tokenFunction);

    const alias = new Alias(this, 'Live', { aliasName: 'live', version: tokenFunction.currentVersion });
    const errors = new Alarm(this, 'FunctionErrorAlarm', {
      alarmDescription: 'An invocation of the function failed without a response.',
      metric: tokenFunction.metricErrors({ period: Duration.minutes(1) }),
      threshold: 1,
      evaluationPeriods: 1,
      treatMissingData: TreatMissingData.NOT_BREACHING,
    });
    new LambdaDeploymentGroup(this, 'Deployment', {
      alias,
      deploymentConfig: LambdaDeploymentConfig.CANARY_10PERCENT_5MINUTES,
      alarms: [errors],
    });

    const api = new HttpApi(this, 'Api', {
      defaultIntegration: new HttpLambdaIntegration('Integration', alias),
      corsPreflight: origins.length === 0 ? undefined : {
        allowOrigins: origins,
        allowMethods: [CorsHttpMethod.GET, CorsHttpMethod.POST],
        allowHeaders: ['authorization', 'content-type', 'x-api-key', 'x-requested-with', 'x-sandbox-id'],
        exposeHeaders: ['x-request-id', 'x-error-code', 'retry-after'],
        maxAge: Duration.minutes(10),
      },
    });
    // Limits what an unauthenticated client can cost.
    const { defaultChild: stage } = api.defaultStage.node;
    stage.defaultRouteSettings = { throttlingRateLimit: 100, throttlingBurstLimit: 200 };
    new CfnOutput(this, 'TokenEndpoint', { value: `${api.apiEndpoint}/getToken` });
  }
}
