// node auth0: the same calls through the vendor's JavaScript client.
import { ManagementClient } from "auth0";

const told = (check, found) => console.log(JSON.stringify({ check, found }));
const { AUTH0_DOMAIN: domain, AUTH0_CLIENT_ID: clientId, AUTH0_CLIENT_SECRET: clientSecret, CONNECTION: name } = process.env;
const auth0 = new ManagementClient({ domain, clientId, clientSecret });
const all = async (page) => { const found = []; for await (const one of await page) found.push(one); return found; };

told("connections by checkpoint", (await all(auth0.connections.list({ strategy: ["waad"], take: 3 }))).map((one) => one.name));
const [connection] = await all(auth0.connections.list({ name }));
const changed = await auth0.connections.update(connection.id, { display_name: "Changed", options: connection.options });
told("changed", changed.display_name);
const scim = auth0.connections.scimConfiguration;
const made = await scim.create(connection.id);
told("configuration", [made.user_id_attribute, made.mapping.length]);
const token = await scim.tokens.create(connection.id, { scopes: ["get:users"] });
told("token", token.token.startsWith(token.token_id));
told("tokens", (await scim.tokens.get(connection.id)).length);
await scim.delete(connection.id);
try { await scim.get(connection.id); } catch (refused) { told("without configuration", refused.statusCode); }
const found = await all(auth0.users.list({ q: `identities.connection:"${name}"`, per_page: 5 }));
told("search", found.length);
const job = await auth0.jobs.usersExports.create({ connection_id: connection.id, format: "json" });
told("job", [job.status, (await auth0.jobs.get(job.id)).status, (await auth0.jobs.get(job.id)).status]);
