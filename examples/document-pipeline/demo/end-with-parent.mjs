/**
 * Loaded into each process that the demo starts: when the demo is gone, however it went, the process is told to end as
 * if by SIGTERM. Without it, a demo that is killed would leave a server and workers behind.
 */
process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
process.channel?.unref();
