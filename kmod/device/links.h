/* SPDX-License-Identifier: GPL-2.0 */
/*
 * links.h - the link commands of /dev/wring, whose caller has CAP_BPF.
 */
#ifndef WRING_DEVICE_LINKS_H
#define WRING_DEVICE_LINKS_H

struct wring_call;

int wring_command_link_attach(struct wring_call *call, void *arg);
void wring_command_link_undo(struct wring_call *call, void *arg);
int wring_command_link_detach(struct wring_call *call, void *arg);
int wring_command_link_info(struct wring_call *call, void *arg);
int wring_command_link_next_id(struct wring_call *call, void *arg);

#endif /* WRING_DEVICE_LINKS_H */
