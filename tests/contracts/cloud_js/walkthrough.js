// Both recorded walk-throughs, spoken by Particle's own client to the simulated cloud.
//
// Reads one JSON object on stdin: {cloud, clientId, clientSecret, username, password, product, devices: [4 IDs]}.
// Each line on stdout asks the simulated Photons for something and waits for one line on stdin as the answer:
// {"online": [deviceId, claimCode or null]}. The last line is {"done": [names of the checks that ran]}.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const readline = require('node:readline');
const Particle = require('particle-api-js');

const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const next = async () => JSON.parse((await lines.next()).value);
const done = [];

async function online(deviceId, claimCode) {
	process.stdout.write(`${JSON.stringify({ online: [deviceId, claimCode] })}\n`);
	return (await next()).acknowledged;
}

async function check(name, body) {
	try {
		await body();
	} catch (error) {
		error.message = `${name}: ${error.message} ${JSON.stringify(error.body || {})}`;
		throw error;
	}
	done.push(name);
}

async function refusal(promise) {
	try {
		await promise;
	} catch (error) {
		return error;
	}
	throw new Error('should have been refused');
}

async function developer(site, particle) {
	const [device] = site.devices;
	let auth;
	await check('login', async () => {
		const { body } = await particle.login({ username: site.username, password: site.password });
		assert.equal(body.token_type, 'bearer');
		auth = body.access_token;
	});
	await check('login with a wrong password', async () => {
		const error = await refusal(particle.login({ username: site.username, password: 'wrong' }));
		assert.equal(error.statusCode, 400);
		assert.equal(error.shortErrorDescription, 'User credentials are invalid');
	});
	await check('claim code of a user', async () => {
		const { body } = await particle.getClaimCode({ auth });
		assert.equal(body.claim_code.length, 63);
		assert.equal(await online(device, body.claim_code), true);
	});
	await check('list and get own devices', async () => {
		const { body } = await particle.listDevices({ auth });
		assert.deepEqual(body.map((row) => row.id), [device]);
		const one = await particle.getDevice({ deviceId: device, auth });
		assert.equal(one.body.owner, site.username);
		assert.equal((await particle.getVariable({ deviceId: device, name: 'temp', auth })).body.result, 1083);
	});
	await check('rename', async () => {
		const { body } = await particle.renameDevice({ deviceId: device, name: 'fried', auth });
		assert.equal(body.name, 'fried');
	});
	await check('send a public key', async () => {
		const { body } = await particle.sendPublicKey({ deviceId: device, key: '-----BEGIN PUBLIC KEY-----', auth });
		assert.equal(body, 'Success!');
	});
	await check('remove from the account', async () => {
		assert.deepEqual((await particle.removeDevice({ deviceId: device, auth })).body, { ok: true });
		assert.equal((await refusal(particle.getDevice({ deviceId: device, auth }))).statusCode, 403);
	});
	await check('claim by ID', async () => {
		const { body } = await particle.claimDevice({ deviceId: device, auth });
		assert.equal(body.ok, true);
		assert.equal((await refusal(particle.claimDevice({ deviceId: '0'.repeat(24), auth }))).statusCode, 404);
		await particle.removeDevice({ deviceId: device, auth });
	});
	await check('serial number, user, current token', async () => {
		assert.equal((await particle.lookupSerialNumber({ serialNumber: 'PHHMAB000PAKLJZ', auth })).body.ok, true);
		assert.equal((await particle.getUserInfo({ auth })).body.username, site.username);
	});
	return auth;
}

async function product(site, particle, user) {
	const { product, devices } = site;
	let auth;
	let customer;
	await check('product token', async () => {
		auth = (await particle.loginAsClientOwner()).body.access_token;
		assert.equal((await particle.getProduct({ product, auth })).body.product.platform_id, 6);
		assert.equal((await particle.listProducts({ auth: user })).body.products.length, 1);
	});
	await check('add one device', async () => {
		const { body } = await particle.addDeviceToProduct({ deviceId: devices[0], product, auth });
		assert.deepEqual(body.updatedDeviceIds, [devices[0]]);
	});
	await check('add a list by path and by buffer', async () => {
		const list = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'tray-')), 'tray.txt');
		fs.writeFileSync(list, `${devices[0]}\r\n${devices[1].toUpperCase()}\r\nNOPE\r\n`);
		const { body } = await particle.addDeviceToProduct({ file: list, product, auth });
		fs.rmSync(path.dirname(list), { recursive: true });
		assert.deepEqual(body.existingDeviceIds, [devices[0]]);
		assert.deepEqual(body.updatedDeviceIds, [devices[1]]);
		assert.deepEqual(body.invalidDeviceIds, ['nope']);
		const file = Buffer.from(`${devices[2]}\n${devices[3]}\n`);
		assert.equal((await particle.addDeviceToProduct({ file, product, auth })).body.updated, 2);
	});
	await check('create a customer', async () => {
		const { body } = await particle.createCustomer({ email: 'customer5@mycompany.com', product });
		customer = body.access_token;
		const again = await refusal(particle.createCustomer({ email: 'customer5@mycompany.com', product }));
		assert.equal(again.body.error, 'customer_exists');
	});
	await check('claim code of a customer', async () => {
		const { body } = await particle.getClaimCode({ product, auth: customer });
		assert.equal(await online(devices[1], body.claim_code), true);
		assert.equal((await refusal(particle.getClaimCode({ product, auth }))).statusCode, 403);
	});
	await check('list and get product devices', async () => {
		const query = { product, auth, sortAttr: 'deviceId', sortDir: 'asc', page: 1, perPage: 3 };
		const { body } = await particle.listDevices(query);
		assert.equal(body.devices.length, 3);
		assert.equal(body.meta.total_pages, 2);
		const one = await particle.getDevice({ deviceId: devices[1], product, auth });
		assert.equal(one.body.owner, 'customer5@mycompany.com');
		assert.equal((await particle.listDevices({ auth: customer })).body.length, 1);
	});
	await check('claim by ID for a customer', async () => {
		const { body } = await particle.claimDevice({ deviceId: devices[2], auth: customer });
		assert.equal(body.ok, true);
		const error = await refusal(particle.claimDevice({ deviceId: devices[2], auth: user }));
		assert.match(error.body.errors[0], /belongs to someone else/);
	});
	await check('change product devices', async () => {
		const deviceId = devices[2];
		const notes = await particle.setDeviceNotes({ deviceId, notes: 'tray 7', product, auth });
		assert.equal(notes.body.notes, 'tray 7');
		const mark = await particle.markAsDevelopmentDevice({ deviceId, product, auth });
		assert.equal(mark.body.development, true);
	});
	await check('unclaim, remove', async () => {
		const released = await particle.removeDeviceOwner({ deviceId: devices[1], product, auth });
		assert.deepEqual(released.body, { ok: true });
		assert.equal((await particle.removeDevice({ deviceId: devices[1], product, auth })).statusCode, 204);
		const error = await refusal(particle.getDevice({ deviceId: devices[1], product, auth }));
		assert.equal(error.body.error, 'Device not found for this product');
	});
	await check('OAuth clients', async () => {
		const made = await particle.createOAuthClient({ name: 'line3', type: 'installed', product, auth: user });
		const { id } = made.body.client;
		assert.equal((await particle.listOAuthClients({ product, auth: user })).body.clients.length, 2);
		assert.equal((await particle.deleteOAuthClient({ clientId: id, product, auth: user })).statusCode, 204);
	});
	await check('foreign product', async () => {
		const error = await refusal(particle.listDevices({ product: 'LOLWUTNOPE', auth: user }));
		assert.match(error.body.error, /Permission denied/);
	});
	await check('delete tokens', async () => {
		assert.deepEqual((await particle.deleteCurrentAccessToken({ auth: customer })).body, { ok: true });
		assert.equal((await refusal(particle.listDevices({ auth: customer }))).statusCode, 401);
		assert.deepEqual((await particle.deleteAccessToken({ token: auth })).body, { ok: true });
	});
}

async function main() {
	const site = await next();
	const user = await developer(site, new Particle({ baseUrl: site.cloud }));
	const { cloud: baseUrl, clientId, clientSecret } = site;
	await product(site, new Particle({ baseUrl, clientId, clientSecret }), user);
	process.stdout.write(`${JSON.stringify({ done })}\n`);
	process.exit(0);
}

main().catch((error) => {
	process.stderr.write(`${error.stack}\n`);
	process.exit(1);
});
