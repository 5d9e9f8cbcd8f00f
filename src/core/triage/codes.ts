/**
 * Codes by which providers, runtimes and drivers name a failure, squeezed (see `squeeze`). A code that many use for many
 * things (`invalid_request_error`, `api_error`) is not here or weighs little: what else is said then decides.
 */
import type { FailureClass } from '../failure.js';

/** What a code says, and how much of the answer that is: 6 settles it, 1 is a hint. */
export interface CodeEvidence {
  readonly label: FailureClass;
  readonly weight: number;
}

const table: readonly (readonly [FailureClass, number, string])[] = [
  [
    'context_length_exceeded',
    6,
    'contextlengthexceeded contextwindowexceeded contextoverflow modelcontextwindowexceeded tokenlimitexceeded contextlimitexceeded maxcontextlengthexceeded inputtoolong prompttoolong stringabovemaxtokens',
  ],
  [
    'rate_limited',
    5,
    'ratelimit ratelimited ratelimitexceeded ratelimitreached toomanyrequests throttling throttled requestlimitexceeded tokenlimitreached ratelimitter requestsratelimitexceeded tpmlimit rpmlimit slowdown throttlingratequota limitrequests limitburstrate provisionedthroughputexceeded',
  ],
  ['rate_limited', 2.5, 'resourceexhausted'],
  [
    'quota_exhausted',
    6,
    'insufficientquota insufficientbalance insufficientcredits insufficientuserquota quotaexceeded billing billinghardlimitreached billingnotactive paymentrequired creditsexhausted outofcredits arrearage allocationquota freetieronly usagelimitreached preconsumetokenquotafailed insufficientfunds quotaexhausted budgetexceeded usagelimitexceeded',
  ],
  ['quota_exhausted', 2.5, 'servicequotaexceeded limitexceeded'],
  [
    'overloaded',
    6,
    'overloaded modeloverloaded serveroverloaded engineoverloaded modelnotready serverbusy servicebusy capacityexceeded nocapacity nochannel noavailablechannel getchannelfailed insufficientcapacity slowdownserver',
  ],
  ['overloaded', 4, 'serviceunavailable unavailable modelunavailable'],
  [
    'timeout',
    5,
    'timeout timedout requesttimeout apitimeout apiconnectiontimeout readtimeout connecttimeout deadlineexceeded modeltimeout gatewaytimeout etimedout esockettimedout underrconnecttimeout underrheaderstimeout underrbodytimeout asynciotimeout sockettimeout pooltimeout writetimeout endpointtimeout statementtimeout',
  ],
  [
    'auth',
    5,
    'invalidgrant invalidclient invalidapikey authentication authenticationfailed unauthorized unauthenticated invalidauthentication incorrectapikey expiredtoken expiredtokenexception tokenexpired invalidtoken unrecognizedclient invalidsignature signaturedoesnotmatch invalidclienttokenid missingauthenticationtoken incompletesignature nocredentials credentialsprovider loadapikey apikeyinvalid invalidaccesstoken invalidkey credentialunavailable defaultcredentials authunavailable',
  ],
  [
    'permission',
    5,
    'permissiondenied permission accessdenied forbidden notauthorized unsupportedcountryregionterritory accountdeactivated accountsuspended organizationrestricted requestforbidden optinrequired accessdeactivated modelaccessdenied servicedisabled servicenotactivated',
  ],
  [
    'content_filtered',
    6,
    'safety imagesafety blocklist spii contentfilter contentfiltered contentpolicyviolation responsibleaipolicyviolation datainspectionfailed moderationblocked sensitivewordsdetected contentmoderation contentblocked safetyblock promptblocked guardrailintervened prohibitedcontent recitation refusal contentexistsrisk policyviolation contentpolicy',
  ],
  [
    'invalid_request',
    1,
    'invalidrequest badrequest validation invalidargument invalidparameter invalidparams unprocessableentity failedprecondition',
  ],
  [
    'invalid_request',
    4,
    'unsupportedparameter unsupportedvalue unsupportedfile missingrequiredparameter invalidvalue unknownparameter invalidimage invalidimageurl invalidjsonschema invalidfunctionparameters invalidprompt unsupportedfunctionality unsupportedmodelversion extraforbidden integerbelowminvalue integerabovemaxvalue decimalbelowminvalue decimalabovemaxvalue emptyarray invalidbase64 unsupportedcontent unsupportedparams unsupportedmediatype methodnotallowed invalidmessagerole',
  ],
  [
    'invalid_output',
    5,
    'zod valibot schemavalidation noobjectgenerated jsonparse typevalidation outputparser jsondecode nocontentgenerated emptyresponsebody invalidtoolinput invalidtoolarguments toolusefailed malformedfunctioncall unexpectedmodelbehavior jsonvalidatefailed invalidresponsedata nooutputgenerated incompleteoutput instructorretry outputguardrail lengthfinishreason toolcallrepair unexpectedtoolcall malformedtoolcall',
  ],
  [
    'tool_error',
    5,
    'nosuchtool toolexecution toolnotfound toolfailed toolcall toolcallfailed unknowntool modelretry unknowntoolname eisdir enotdir invalidtoolname toolnotregistered toolinvocation',
  ],
  ['tool_error', 2.5, 'enoent eacces eperm commandfailed calledprocess filenotfound methodnotfound'],
  [
    'model_not_found',
    6,
    'modelnotfound nosuchmodel modeldecommissioned modeldeprecated deploymentnotfound modelnotexist invalidmodel unknownmodel modelnotsupported modelretired unsupportedmodel modelnotavailable modelisdeprecated modelnotallowed noendpointsfound modeldoesnotexist invalidmodelid modelnotopen modelterminated',
  ],
  ['model_not_found', 1.5, 'notfound resourcenotfound resourcenotfoundexception'],
  [
    'network',
    5,
    'eproto enotconn ealready econnreset econnrefused econnaborted epipe enotfound eaiagain ehostunreach ehostdown enetunreach enetdown enetreset underrsocket underrclosed underraborted errstreamprematureclose connectionreset connectionrefused connectionaborted brokenpipe remoteprotocol remotedisconnected incompleteread chunkedencoding clientconnector clientoserror newconnection maxretry apiconnection certhasexpired depthzeroselfsignedcert unabletoverifyleafsignature selfsignedcertinchain errtlscertaltnameinvalid sslcertverification ssl protocolerror serverdisconnected connecterror readerror connection failedtoopensocket fetch',
  ],
  [
    'payload_too_large',
    6,
    'requesttoolarge payloadtoolarge requestentitytoolarge contenttoolarge filetoolarge imagetoolarge toomanyembeddingvaluesforcall stringabovemaxlength arrayabovemaxlength maxsizeexceeded bodytoolarge messagetoolarge',
  ],
  [
    'internal',
    2.5,
    'internalserver internal internalfailure servererror internalservice modelstream modelerror badgateway engine',
  ],
  [
    'dependency',
    5,
    'sqlitebusy sqlitelocked sqlitefull sqliteioerr sqlitecorrupt reply maxretriesperrequest deadlockdetected toomanyconnections operational psycopg2 mongonetwork mongoserver mongoserverselection databaseerror redisconnection sequelizeconnection prismaclientinitialization prismaclientknownrequest querycanceled lockwaittimeout readonly loading clusterdown noscript oom econnpool interfaceerror',
  ],
  [
    'poison',
    5,
    'serialization deserialization recorddeserialization dataexception data unknownmagicbyte schemaregistry avrotypeexception invalidprotocolbuffer jsonschemavalidation invalidevent malformedevent unprocessablemessage messageformat invalidcloudevent recordtoodeserialize',
  ],
  [
    'cancelled',
    5,
    'cancelled canceled abort requestaborted operationcanceled operationcancelled keyboardinterrupt apiuserabort clientclosedrequest taskcanceled contextcanceled errcanceled usercancelled',
  ],
];

/** Evidence by squeezed code. */
export const codeEvidence: ReadonlyMap<string, CodeEvidence> = new Map(
  table.flatMap(([label, weight, codes]) => codes.split(' ').map((code) => [code, { label, weight }] as const)),
);
