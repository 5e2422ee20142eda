/* SPDX-License-Identifier: GPL-2.0 */
/*
 * session.h - an open /dev/wring: a store of instances that link to each other, made when first needed.
 */
#ifndef WRING_DEVICE_SESSION_H
#define WRING_DEVICE_SESSION_H

struct wring_call;
struct wring_session;

/* With one reference, or NULL without memory. May sleep. */
struct wring_session *wring_session_new(void);
/* Its lock is not held. May sleep. */
void wring_session_put(struct wring_session *session);

/* WRING_IOC_INSTANCE_NEW, on a file whose private data is a session. */
int wring_instance_create(struct wring_call *call, void *arg);

#endif /* WRING_DEVICE_SESSION_H */
