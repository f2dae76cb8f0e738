'use strict';
// The whole setup of one Photon with Particle's own client. Arguments: http|tcp, host, port, claim code, SSID and
// Wi-Fi password. Prints one line of JSON with what each call answered; any failure ends it with a stack trace.

const { promisify } = require('util');
const setup = require('softap-setup');

const [protocol, host, port, code, ssid, password] = process.argv.slice(2);
const client = setup({ protocol, host, port: Number(port), timeout: 8000 });
const call = (name, ...values) => promisify(client[name].bind(client))(...values);

async function main() {
	const version = await call('version');
	const info = await call('deviceInfo');
	const pem = await call('publicKey');
	await call('setClaimCode', code);
	const scans = await call('scan');
	const network = scans.find((one) => one.ssid === ssid);
	const configured = await call('configure', {
		ssid, password, channel: network.ch, security: client.securityLookup(network.sec)
	});
	await call('connect');
	console.log(JSON.stringify({ version, info, pem: pem.slice(0, 26), network, configured }));
}

main();
