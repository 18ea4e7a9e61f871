/** Where the control socket is when nobody says otherwise. */
export const DEFAULT_CONTROL_PATH = '/run/peerage/control.sock';
